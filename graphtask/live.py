"""Progress in notebooks: one display that is updated in place.

rich would add an output for every update, because it has no notebook display without ipywidgets.
"""

import html
import time
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any, TypeVar

from graphtask.terminal import duration, shown

T = TypeVar("T")

_SECONDS = 0.2  # between two updates


class LiveBars:
    """Bars with texts in the output of a notebook cell, shown at the first `update`."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._updated = 0.0

    def update(
        self, bars: Sequence[tuple[float | None, str]], *, notes: Iterable[str] = (), is_last: bool = False
    ) -> None:
        """Show the bars; calls within 0.2 seconds of the last update are skipped.

        Args:
            bars: Finished share (None if unknown) and text of each bar.
            notes: Lines below them.
            is_last: Never skip this update.
        """
        if not is_last and time.monotonic() - self._updated < _SECONDS:
            return
        self._updated = time.monotonic()
        lines = [*(text for _, text in bars), *notes]
        data = {"text/html": bars_html(bars, notes), "text/plain": "\n".join(map(shown, lines))}
        if self._handle is None:
            display = import_module("IPython.display").display  # present in every notebook, not a dependency
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


def bars_html(bars: Sequence[tuple[float | None, str]], notes: Iterable[str] = ()) -> str:
    """Return bars and lines as HTML.

    Example:
        >>> bars_html([(0.5, "epoch 1/2")], ["a < b"])
        '<div><progress max="1" value="0.5000"></progress> epoch 1/2</div><div>a &lt; b</div>'
    """
    rows = []
    for share, text in bars:
        value = "" if share is None else f' value="{share:.4f}"'
        rows.append(f'<div><progress max="1"{value}></progress> {html.escape(shown(text))}</div>')
    return "".join([*rows, *(f"<div>{html.escape(shown(note))}</div>" for note in notes)])


def live_tracked(items: Sequence[T], *, title: str) -> Iterator[T]:
    """Yield the items, with one bar in the output of a notebook cell."""
    bars, begun = LiveBars(), time.monotonic()
    for done, item in enumerate(items):
        bars.update([(done / len(items), f"{title}: {done} of {len(items)}")])
        yield item
    took = duration(time.monotonic() - begun)
    bars.update([(1.0, f"{title}: {len(items)} of {len(items)}, {took}")], is_last=True)
