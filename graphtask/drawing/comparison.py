"""Pictures of graphs compared: similarities as a matrix ordered by group, and graphs as points in the plane."""

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from graphtask.drawing.grouped import COLORS
from graphtask.drawing.picture import new_figure
from graphtask.drawing.style import INK, LEGEND, TEXT, WIDTH
from graphtask.drawing.text import fitted, group_names, n_columns
from graphtask.validation import invalid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_MAX_ABOVE = 9  # groups whose legend fits above a picture in rows of three; more go next to it
_CHARACTER = 0.075  # inches, the width of a letter
_MANY_POINTS = 2_000  # beyond, points become pixels: a file with one shape for each would be slow to show
_BRACKET: dict[str, Any] = {"color": INK, "linewidth": 1.2, "clip_on": False, "solid_capstyle": "butt"}


def draw_similarity(
    similarities: npt.ArrayLike,
    labels: Sequence[str],
    *,
    title: str | None = None,
    quantity: str = "similarity",
) -> "Figure":
    """Draw similarities of graphs as a matrix ordered by group, with a bracket around each group.

    Groups come in the order in which they first come up, graphs within them as they were.

    Args:
        similarities: Shape (graphs, graphs), values from 0 (light) to 1 (dark); gray where there are none.
        labels: The group of each graph.
        title: A line above.
        quantity: What the values are.

    Raises:
        ArgumentError: The shapes do not fit.

    Example:
        >>> figure = draw_similarity([[1.0, 0.2], [0.2, 1.0]], ["cmnist", "cifar10"])
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['', 'similarity']

    Source:
        Janik & Nowak, "Connectivity Properties of Neural Networks Under Performance-Resources Trade-off", Figs. 4, 7.
    """
    from matplotlib import colormaps

    matrix = np.asarray(similarities, dtype=np.float64)
    if matrix.shape != (len(labels), len(labels)):
        raise invalid(
            "similarities", f"a square matrix with a row for each of the {len(labels)} labels", matrix
        )
    groups = _members(labels)
    order = np.concatenate(list(groups.values()))
    figure = new_figure(figsize=(WIDTH * 0.8, WIDTH * 0.68 + (0.25 if title else 0.0)), layout="constrained")
    axes = figure.subplots()
    colors = colormaps["YlGnBu"].with_extremes(bad="#d9d9d9")
    image = axes.imshow(
        matrix[np.ix_(order, order)],
        cmap=colors,
        vmin=0.0,
        vmax=1.0,
        interpolation="nearest",
        aspect="equal",
    )
    _bracket(axes, {name: len(members) for name, members in groups.items()})
    bar = figure.colorbar(image, ax=axes, shrink=0.7, pad=0.03)
    bar.set_label(quantity, fontsize=TEXT)
    bar.ax.tick_params(labelsize=TEXT - 1)
    bar.outline.set_visible(False)
    if title:
        _set_title(axes, title)
    return figure


def draw_embedding(
    points: npt.ArrayLike,
    labels: Sequence[str],
    *,
    axes_labels: tuple[str, str] = ("x", "y"),
    title: str | None = None,
) -> "Figure":
    """Graphs as points in the plane: a color and a shape for each group.

    Args:
        points: Shape (graphs, 2).
        labels: The group of each graph.
        axes_labels: What to write on the axes; both have the same scale.
        title: A line above.

    Raises:
        ArgumentError: The shapes do not fit.

    Example:
        >>> figure = draw_embedding([[0.0, 0.0], [1.0, 1.0]], ["cmnist", "cifar10"])
        >>> [text.get_text() for text in figure.legends[0].get_texts()]
        ['cmnist (1)', 'cifar10 (1)']

    Source:
        Janik & Nowak, "Connectivity Properties of Neural Networks Under Performance-Resources Trade-off", Fig. 8.
    """
    places = np.asarray(points, dtype=np.float64)
    if places.shape != (len(labels), 2):
        raise invalid("points", f"of shape ({len(labels)}, 2), a row for each label", places)
    groups = _members(labels)
    figure = new_figure(
        figsize=(WIDTH * 0.8, _height(places) + (0.25 if title else 0.0)), layout="constrained"
    )
    axes = figure.subplots()
    size = float(np.clip(2_000 / len(places), 3, 26))
    for (name, members), (color, marker) in zip(groups.items(), _looks(), strict=False):
        axes.scatter(
            places[members, 0],
            places[members, 1],
            s=size,
            c=color,
            marker=marker,
            alpha=0.85 if len(places) <= _MANY_POINTS else 0.4,
            linewidths=0.4 if len(places) <= _MANY_POINTS else 0.0,
            edgecolors="white",
            label=f"{name} ({len(members):,})",
            rasterized=len(places) > _MANY_POINTS,
        )
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xlabel(axes_labels[0], fontsize=TEXT)
    axes.set_ylabel(axes_labels[1], fontsize=TEXT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=TEXT - 1)
    axes.grid(visible=True, linewidth=0.4, alpha=0.4)
    axes.set_axisbelow(True)
    _legend(figure, n_groups=len(groups))
    if title:
        _set_title(axes, title)
    return figure


def _set_title(axes: "Axes", title: str) -> None:
    # Centered above axes that are narrower than the figure.
    line = fitted(title, width=0.55 * WIDTH, size=TEXT + 1)
    axes.set_title(line, fontsize=TEXT + 1, color=INK)


def _members(labels: Sequence[str]) -> dict[str, list[int]]:
    """Return the positions of the graphs of each group, by its short name."""
    names = group_names(labels)
    members: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        members.setdefault(names[str(label)], []).append(index)
    return members


def _looks() -> Iterator[tuple[str, str]]:
    """Yield colors and shapes that differ in both first, and repeat as a pair only after all combinations."""
    n_looks = len(COLORS) * len(_MARKERS)
    return cycle(
        (COLORS[index % len(COLORS)], _MARKERS[(index + index // len(COLORS)) % len(_MARKERS)])
        for index in range(n_looks)
    )


def _height(places: npt.NDArray[np.float64]) -> float:
    """Inches for a picture of points that is about as wide as high as they are, within reason."""
    width, height = np.ptp(places, axis=0) if len(places) else (1.0, 1.0)
    return WIDTH * (0.14 + 0.62 * float(np.clip(height / width if width > 0 else 1.0, 0.45, 1.0)))


def _bracket(axes: "Axes", sizes: dict[str, int]) -> None:
    """Draw lines between the groups, and their names in brackets to the left of and below the matrix."""
    ends = np.cumsum(list(sizes.values()))
    starts = ends - list(sizes.values())
    for end in ends[:-1]:
        axes.axhline(end - 0.5, color="white", linewidth=1.0)
        axes.axvline(end - 0.5, color="white", linewidth=1.0)
    middles = (starts + ends - 1) / 2
    room = WIDTH * 0.55 / ends[-1]  # inches for one graph
    wide = any(len(name) * _CHARACTER > size * room for name, size in sizes.items())
    tilt: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if wide else {}
    axes.set_xticks(middles, list(sizes), fontsize=TEXT, **tilt)
    axes.set_yticks(middles, list(sizes), fontsize=TEXT)
    axes.tick_params(length=0, pad=7)
    axes.spines[:].set_visible(False)
    gap = 0.12 * ends[-1] / max(len(sizes), 6)
    for start, end in zip(starts - 0.5, ends - 0.5, strict=True):
        inner = (start + gap, end - gap)
        axes.plot(inner, (-0.015, -0.015), transform=axes.get_xaxis_transform(), **_BRACKET)
        axes.plot((-0.015, -0.015), inner, transform=axes.get_yaxis_transform(), **_BRACKET)


def _legend(figure: "Figure", *, n_groups: int) -> None:
    handles, texts = figure.axes[0].get_legend_handles_labels()
    beside = n_groups > _MAX_ABOVE
    figure.legend(
        handles,
        texts,
        loc="outside right upper" if beside else "outside upper center",
        ncols=1 if beside else n_columns(texts, most=3 if n_groups != 4 else 4, width=0.8 * WIDTH),
        **LEGEND,
    )
