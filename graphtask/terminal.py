"""Text for terminals and tables: escaped names, and durations in human units.

File names, archive members and provenance come from strangers. Every text that is printed passes through `shown`, so
that no escape sequence, bidirectional mark or line break of theirs reaches the terminal.
"""


def shown(text: object) -> str:
    r"""Return a text with every character that a terminal may interpret written as an escape.

    Escaped are control characters (the line feed too), format characters such as bidirectional marks, lone
    surrogates, unassigned and private characters, and all separators except the space.

    Args:
        text: Text or object that ``str`` describes, such as a path.

    Example:
        >>> print(shown("a\x1b[2Jb\u202ec\nd\udcff"))
        a\x1b[2Jb\u202ec\nd\udcff
        >>> shown("Kamada–Kawai, λ = 0.02 · 4 s")
        'Kamada–Kawai, λ = 0.02 · 4 s'
    """
    whole = str(text)
    if whole.isprintable():
        return whole
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in whole
    )


def shown_lines(text: str) -> str:
    r"""Return `shown` of every line of a text; its line feeds stay.

    Example:
        >>> print(shown_lines("first\nsecond\x07"))
        first
        second\x07
    """
    return "\n".join(map(shown, text.split("\n")))


def valid_text(text: str) -> str:
    r"""Return the text with lone surrogates escaped, which no table or file can hold; file names may have them.

    Example:
        >>> valid_text("a\ud800") == "a\\ud800"
        True
    """
    return text.encode("utf-8", errors="backslashreplace").decode()


def duration(seconds: float) -> str:
    """Return a length of time in at most two units.

    Example:
        >>> [duration(value) for value in (0.04, 2.5, 42, 75, 3600 * 5 + 60 * 7, 86400 * 3 + 3600)]
        ['0.04 s', '2.5 s', '42 s', '1 min 15 s', '5 h 7 min', '3 d 1 h']
    """
    if seconds < 9.5:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    for size, unit, smaller, part in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"
