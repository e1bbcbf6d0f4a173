"""Ways to damage a file: each takes its bytes and a generator of chance, and gives other bytes."""

import re

SNIPPETS = [
    b"<!DOCTYPE graphml>",
    b"<graph>",
    b"</graph>",
    b"<node/>",
    b'<node id="zz"/>',
    b'<edge source="n0" target="n3"/>',
    b"<data>",
    b"</data>",
    b"]]>",
    b"<![CDATA[",
    b"<!--",
    b"&lt;",
    b"&#0;",
    b"&#xD800;",
    b"&unknown;",
    b"\0",
    b"\xff\xfe",
    b"<?xml?>",
    b"\xe2\x80",
    b'<key id="q" for="all" attr.name="stage" attr.type="int"><default>7</default></key>',
]
WORDS = [
    b"NaN", b"-1", b"1e999", b"9" * 5000, b"1_0", b"", b"true", b"0x10", b"None", b"-0.0", b"\xd9\xa3",
    b"99999999999999999999999", b"[" * 3000, b'{"$tuple": 1}', b"null", b"directed", b"undirected", b"node", b"edge",
    b"all", b"json", b"string", b"int", b"boolean", b"name", b"stage", b"weight", b"provenance",
]  # fmt: skip


def cut(data, rng):
    return data[: rng.randrange(len(data))]


def flip_bits(data, rng):
    result = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 3, 20])):
        result[rng.randrange(len(result))] ^= 1 << rng.randrange(8)
    return bytes(result)


def piece(data, rng):
    start = rng.randrange(len(data))
    return start, start + rng.choice([1, 5, 40, 300])


def drop(data, rng):
    start, end = piece(data, rng)
    return data[:start] + data[end:]


def double(data, rng):
    start, end = piece(data, rng)
    return data[:end] + data[start:end] * rng.choice([1, 1, 5]) + data[end:]


def double_lines(data, rng):
    lines = data.splitlines(keepends=True)
    start = rng.randrange(len(lines))
    end = start + rng.choice([1, 2, 8])
    return b"".join([*lines[:end], *lines[start:end], *lines[end:]])


def drop_lines(data, rng):
    lines = data.splitlines(keepends=True)
    start = rng.randrange(len(lines))
    return b"".join([*lines[:start], *lines[start + rng.choice([1, 2, 8]) :]])


def swap_lines(data, rng):
    lines = data.splitlines(keepends=True)
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def insert(data, rng):
    place = rng.randrange(len(data))
    return data[:place] + rng.choice(SNIPPETS) + data[place:]


def swap_values(data, rng):
    """Swap two values of XML attributes, such as the target of an edge and the id of a key."""
    values = list(re.finditer(rb'"[^"]*"', data))
    if len(values) < 2:
        return data
    one, other = sorted(rng.sample(values, 2), key=lambda match: match.start())
    return (
        data[: one.start()]
        + other.group()
        + data[one.end() : other.start()]
        + one.group()
        + data[other.end() :]
    )


def other_value(data, rng):
    match = rng.choice(list(re.finditer(rb'(?<==")[^"]*(?=")|(?<=>)[^<>\s][^<>]*(?=<)', data)))
    return data[: match.start()] + rng.choice(WORDS) + data[match.end() :]


def other_name(data, rng):
    """Another name of an element, in its opening and its closing tag, or of an XML attribute."""
    names = sorted(set(re.findall(rb"(?<=</)[\w:]+|(?<=[ .:])\w+(?==)", data)))
    return re.sub(rb"\b%s\b" % rng.choice(names), rng.choice(names), data, count=rng.choice([0, 0, 1, 2]))


MUTATIONS = [
    cut, flip_bits, drop, double, double_lines, drop_lines, swap_lines, insert, swap_values, other_value, other_name,
]  # fmt: skip
