"""Installed fonts for the characters that a font lacks, such as those of Chinese, Japanese and Korean names."""

import functools
import logging
from collections.abc import Iterable, Sequence

_USED: dict[str, str] = {}  # path and family of fonts that had a character before; the first to be asked


def families_of(text: str, families: Sequence[str]) -> list[str]:
    """Return the font families that draw a text: the given ones, and installed ones for characters they lack.

    Example:
        >>> families_of("text", ["sans-serif"])
        ['sans-serif']
    """
    found = (_family_with(character) for character in sorted(_lacking(text, families)))
    return [*families, *dict.fromkeys(family for family in found if family is not None)]


def undrawable(texts: Iterable[str], families: Sequence[str]) -> list[str]:
    """Return the characters that neither the families nor any installed font has."""
    lacking = _lacking("".join(texts), families)
    return sorted(character for character in lacking if _family_with(character) is None)


def _lacking(text: str, families: Sequence[str]) -> set[str]:
    """Return the visible characters of a text that no font of the families has."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    if text.isascii():
        return set()
    fonts = [get_font(findfont(FontProperties(family=[family]))) for family in families]
    characters = {character for character in text if character.isprintable() and not character.isspace()}
    return {
        character
        for character in characters
        if not any(font.get_char_index(ord(character)) for font in fonts)
    }


@functools.cache
def _family_with(character: str) -> str | None:
    """Return the family of the first installed font that has a character."""
    from matplotlib.font_manager import fontManager, get_font

    for path in [*_USED, *_system_fonts()]:
        try:
            font = get_font(path)
        except (OSError, RuntimeError):  # a format that matplotlib cannot read
            continue
        if font.scalable and font.get_char_index(ord(character)):
            if (
                font.family_name not in fontManager.get_font_names()
            ):  # installed after matplotlib's list was made
                fontManager.addfont(path)
            logging.getLogger("matplotlib.font_manager").addFilter(_is_relevant)
            return _USED.setdefault(path, font.family_name)
    return None


def _is_relevant(record: logging.LogRecord) -> bool:
    """Return False for messages that a fallback has no bold or regular letters; the others of it will do."""
    return "font weight" not in str(record.msg)


@functools.cache
def _system_fonts() -> list[str]:
    from matplotlib.font_manager import findSystemFonts

    return sorted(findSystemFonts())
