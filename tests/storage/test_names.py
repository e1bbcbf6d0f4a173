import pytest

import graphtask as gt
from graphtask.storage.names import distinct_stems, file_stem, safe_component, safe_path

SAFE = [
    "a",
    "full",
    "banded-10",
    "seed-0",
    "erdos_renyi-0.2",
    "ü",
    "日本",
    "a b",
    "x.graphml",
    "console",
    "-x",
]
UNSAFE = [
    *(
        "",
        ".",
        "..",
        "/",
        "a/b",
        "/etc",
        "..\\x",
        "C:",
        "a\0b",
        "a\nb",
        "\x1b[31m",
        "\u202eabc",
        "\ud800",
        ".",
    ),
    *(".hidden", "end.", "end ", " x", "con", "NUL.txt", "COM1", "x" * 201, None, 3, [], b"x"),
]


@pytest.mark.parametrize("text", SAFE)
def test_plain_names_are_safe(text):
    assert safe_component(text, name="label") == text
    assert safe_path(f"{text}/{text}", name="label") == f"{text}/{text}"


@pytest.mark.parametrize("text", UNSAFE)
def test_everything_else_is_refused(text):
    with pytest.raises(gt.errors.ArgumentError, match="label must be a plain file name"):
        safe_component(text, name="label")


@pytest.mark.parametrize("text", ["/abs", "a//b", "a/../b", "a/", "", "./a", None])
def test_paths_that_leave_their_folder_are_refused(text):
    with pytest.raises(gt.errors.ArgumentError, match="label must be a relative path"):
        safe_path(text, name="label")


@pytest.mark.parametrize("text", [*SAFE, *(text for text in UNSAFE if isinstance(text, str))])
def test_any_text_becomes_a_safe_name(text):
    stem = file_stem(text)
    assert safe_component(stem, name="stem") == stem
    assert text not in SAFE or stem == text


def test_different_texts_that_are_not_safe_stay_different():
    texts = ["..", ".", " ", "x" * 300, "x" * 301, "CON", "con", "a.", ".a"]
    assert len(set(map(file_stem, texts))) == len(texts)


def test_no_two_stems_name_one_file():
    stems = ["a", "a", "A", "a-2", "b", "b-history", "b"]
    endings = [("",), ("",), ("",), ("",), ("", "-history"), ("",), ("", "-history")]
    found = distinct_stems(stems, endings)
    files = [f"{stem}{end}".casefold() for stem, ends in zip(found, endings, strict=True) for end in ends]
    assert len(set(files)) == len(files)
    assert found[0] == "a"
    assert found[4] == "b"
