"""Graphs at URLs, read through fsspec; only schemes that the user names are opened."""

import re
from collections.abc import Collection
from http import HTTPStatus
from urllib.parse import urlsplit

from graphtask.errors import ArgumentError, FormatError
from graphtask.storage.limits import MAX_BYTES, check_bytes
from graphtask.validation import install_hint, invalid

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_LOCAL = {"file", "local"}  # a pipe or a device would wait forever
_HTTP = {"http", "https"}
_PIECE = 1 << 20
_QUERY = re.compile(r"\?[^\s'\")]*")


def is_url(path: str) -> bool:
    """Return True if a text has the form of a URL.

    Example:
        >>> is_url("https://example.org/a.gml"), is_url("graphs/a.gml")
        (True, False)
    """
    return _URL.match(path) is not None


def scheme_of(url: str) -> str:
    """Return the scheme of a URL, in lower case."""
    return url.partition("://")[0].lower()


def public_name(url: str) -> str:
    """Return a URL without query and credentials, which belong in no table.

    Example:
        >>> public_name("https://me:secret@example.org/a.gml?token=1")
        'https://example.org/a.gml'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def url_problem(url: str, *, schemes: Collection[str]) -> str:
    """Return why a URL is not opened; empty if it is.

    Args:
        url: The URL.
        schemes: Schemes that the user allows.

    Example:
        >>> url_problem("s3://bucket/a.gml", schemes=["https"])
        "its scheme is not allowed; allow it with schemes=['s3'] (on the command line: --scheme s3)"
    """
    if "::" in url:
        return "chained URLs are not opened; use a plain URL"
    try:
        public_name(url)
    except ValueError as error:
        return f"is not a valid URL: {error}"
    scheme = scheme_of(url)
    if scheme in schemes:
        return ""
    return f"its scheme is not allowed; allow it with schemes=[{scheme!r}] (on the command line: --scheme {scheme})"


def checked_schemes(schemes: Collection[str]) -> frozenset[str]:
    """Return the schemes in lower case, if fsspec can open them.

    Raises:
        ArgumentError: One is unknown or for local files, or a library for it is missing.
    """
    if isinstance(schemes, str):
        raise invalid("schemes", "a list of schemes, such as ['https']", schemes)
    found = frozenset(scheme.lower() for scheme in schemes)
    for scheme in sorted(found):
        _check_scheme(scheme)
    return found


def _check_scheme(scheme: str) -> None:
    if scheme in _LOCAL:
        raise invalid("schemes", "schemes of other machines", scheme, remedy="pass local files as paths")
    try:
        import fsspec
    except ImportError as error:
        raise ArgumentError(f"URLs need fsspec, which is not installed; {install_hint('urls')}") from error
    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise ArgumentError(
            f"scheme {scheme} needs another library ({reason}); {install_hint('urls')}"
        ) from error
    except ValueError:
        raise invalid("schemes", "schemes that fsspec knows, such as https, s3 or gs", scheme) from None


def fetch(url: str) -> bytes:
    """Return the bytes at a URL.

    Raises:
        FormatError: It cannot be read, or is larger than any graph file may be.
    """
    import fsspec

    # Without blocks the content of a server is a stream, whose size is bounded here and not by what the server claims.
    options = {"block_size": 0} if scheme_of(url) in _HTTP else {}
    pieces: list[bytes] = []
    n_bytes = 0
    try:
        with fsspec.open(url, "rb", **options) as file:
            while n_bytes <= MAX_BYTES and (piece := file.read(_PIECE)):
                pieces.append(piece)
                n_bytes += len(piece)
    except Exception as error:  # every file system raises errors of its libraries
        raise FormatError(f"cannot be read: {_reason(error, url)}") from error
    check_bytes(n_bytes)
    return b"".join(pieces)


def _reason(error: BaseException, url: str) -> str:
    """Return an error of a library in one line, without the credentials of the URL."""
    error = error.__cause__ or error  # fsspec reports every error of a server as a missing file
    status = getattr(error, "status", None)
    if isinstance(error, FileNotFoundError) or status == HTTPStatus.NOT_FOUND:
        return "there is no file at this URL"
    if isinstance(status, int):
        return f"the server replies with status {status}"
    text = " ".join(str(error).replace(url, public_name(url)).split())
    return f"{type(error).__name__}: {_QUERY.sub('', text)}".removesuffix(": ")
