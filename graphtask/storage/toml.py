"""TOML of files that users write: regular files of bounded size, errors of two kinds."""

import os
import re
import tomllib
from typing import Any

from graphtask.storage.regular import read_regular

_LARGEST = 16 << 20  # bytes
# For which tomllib takes quadratic time; a key may be quoted.
_LONG_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){100}""")


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises:
        OSError: The file cannot be read, is not a regular file, or is too large; ``strerror`` has the reason.
        ValueError: It is not valid TOML, or nested too deeply.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.toml"
        >>> _ = path.write_text("epochs = 3")
        >>> read_toml(path)
        {'epochs': 3}
    """
    try:
        text = read_regular(path, limit=_LARGEST).decode("utf-8")
        values = None if _LONG_KEY.search(text) else tomllib.loads(text)
    except RecursionError:
        values = None
    if values is None:
        raise ValueError("nested too deeply")
    return values
