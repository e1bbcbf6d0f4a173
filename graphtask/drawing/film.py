"""Frames of a training run: the same nodes in the same places, edges as wide as their weight in each epoch."""

import io
from typing import TYPE_CHECKING, Any, Protocol

import igraph
import numpy as np

from graphtask.drawing.artists import (
    Drawing,
    EdgeKind,
    Look,
    NodeKind,
    add_legend,
    add_lines,
    draw_rings,
    ends_of,
    figure_of,
    frame,
    legend_rows,
    new_axes,
    scale_of,
)
from graphtask.drawing.curves import HasMagnitudes
from graphtask.drawing.picture import rendered
from graphtask.drawing.placement import Layout, place
from graphtask.drawing.style import ACROSS, DEAD, WEAK, WITHIN, stage_colors
from graphtask.drawing.text import shortened
from graphtask.graph import WEIGHT, edge_array, edge_names, stages
from graphtask.pruning import pruned_parts
from graphtask.types import FloatArray
from graphtask.validation import counted, invalid

if TYPE_CHECKING:
    from PIL.Image import Image


class HasEdgeMagnitudes(HasMagnitudes, Protocol):
    """Members of an edge history (`graphtask.EdgeHistory`) that an animation reads."""

    @property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """Edges, in the order of the columns."""


class Recorded(Protocol):
    """Members of a run (`graphtask.Run`, `graphtask.dynamics.Recording`) that an animation reads."""

    @property
    def graph(self) -> igraph.Graph:
        """Trained graph."""

    @property
    def history(self) -> HasEdgeMagnitudes:
        """Edge weights of every epoch."""


class Film:
    """Pictures of the epochs of a run; one figure, whose artists change from frame to frame.

    Args:
        run: Graph and edge history.
        threshold: Edges below it are light gray, and the paths that are then dead are red.
        layout: As in `graphtask.draw`.
        title: Start of the line above the picture.
    """

    def __init__(self, run: Recorded, *, threshold: float, layout: Layout, title: str) -> None:
        self._graph, self._threshold, self._title = run.graph.copy(), threshold, title
        column = {edge: index for index, edge in enumerate(run.history.edges)}
        edges = edge_names(run.graph)
        if not column.keys() >= set(edges):
            raise invalid("run", "a run whose edge history has all edges of its graph", run)
        self._magnitudes = run.history.magnitudes[:, [column[edge] for edge in edges]]
        self._graph.es[WEIGHT] = self._magnitudes.max(axis=0)
        self._look = Look(threshold=threshold)
        self._drawing = _drawing(self._graph, self._look, layout)
        self._axes = new_axes(self._drawing, None, n_rows=len(self._legend()))
        self._prepare()

    @property
    def n_epochs(self) -> int:
        """Number of the last epoch."""
        return len(self._magnitudes) - 1

    def image(self, epoch: int, *, dpi: int) -> "Image":
        """Return the picture at the end of an epoch; 0 is the start."""
        from PIL import Image

        self._show(self._magnitudes[epoch], epoch)
        return Image.open(io.BytesIO(rendered(figure_of(self._axes), "png", dpi=dpi))).convert("RGB")

    def _legend(self) -> list[Any]:
        return legend_rows(self._drawing, counts=False)[:2]

    def _prepare(self) -> None:
        drawing = self._drawing
        sizes = frame(self._axes, drawing, scale_of([drawing]))
        self._line = sizes.line
        draw_rings(self._axes, drawing.placement.positions[list(drawing.ends)], sizes)
        n_edges = self._graph.ecount()
        self._lines = add_lines(
            self._axes,
            drawing.placement.curves,
            np.ones(n_edges),
            color=WITHIN,
            opacity=1.0,
            dashes="solid",
            order=2,
            gid="edges",
        )
        self._paths = np.array([*self._lines.get_paths(), None], dtype=object)[:-1]
        self._nodes = self._axes.scatter(
            drawing.placement.positions[:, 0],
            drawing.placement.positions[:, 1],
            s=sizes.node**2,
            linewidths=0.8,
            zorder=7,
            clip_on=False,
        )
        add_legend(self._axes, self._legend(), self._look)

    def _show(self, magnitudes: FloatArray, epoch: int) -> None:
        from matplotlib.colors import to_rgba_array

        self._graph.es[WEIGHT] = magnitudes
        parts = pruned_parts(self._graph, threshold=self._threshold)
        kept = ~(parts.weak_edges | parts.dead_edges)
        ends = stages(self._graph)[edge_array(self._graph)]
        names = np.where(ends[:, 0] < ends[:, 1], ACROSS, WITHIN)
        names[parts.weak_edges], names[parts.dead_edges] = WEAK, DEAD
        colors = to_rgba_array(list(names))
        colors[:, 3] = np.where(parts.weak_edges, 0.6, np.clip((250 / max(kept.sum(), 1)) ** 0.5, 0.2, 0.95))
        largest = float(self._magnitudes.max()) or 1.0
        widths = np.where(parts.weak_edges, 0.4, self._line * (0.15 + 0.85 * magnitudes / largest))
        order = np.lexsort((magnitudes, ~parts.weak_edges))  # weak edges below, strong ones above
        self._lines.set_paths(list(self._paths[order]))
        self._lines.set_edgecolor(colors[order].tolist())
        self._lines.set_linewidth(widths[order].tolist())
        palette = to_rgba_array(stage_colors(int(stages(self._graph).max()) + 1))[stages(self._graph)]
        palette[parts.dead_nodes] = (1, 1, 1, 1)
        self._nodes.set_facecolor(palette.tolist())
        self._nodes.set_edgecolor([DEAD if dead else "white" for dead in parts.dead_nodes])
        text = f"epoch {epoch} of {self.n_epochs} · {counted(int(kept.sum()), 'edge')}"
        title = f"{shortened(self._title)} · {text}" if self._title else text
        self._axes.set_title(title, loc="left", **self._look.text(9.5))


def _drawing(graph: igraph.Graph, look: Look, layout: Layout) -> Drawing:
    """Return the union of all frames, with every edge in its place and every kind in the legend."""
    ends = stages(graph)[edge_array(graph)]
    across, some = ends[:, 0] < ends[:, 1], np.ones(graph.ecount(), dtype=np.bool_)
    kinds = (
        EdgeKind("within", "within a stage", ~across, WITHIN, 3),
        EdgeKind("across", "across stages", across, ACROSS, 2),
        EdgeKind("weak", f"below {look.threshold:g}", some, WEAK, 1, width=0.5),
        EdgeKind("dead", "dead path", some, DEAD, 4, width=0.7),
    )
    nodes = (NodeKind("live", "", np.ones(graph.vcount(), dtype=np.bool_)),)
    return Drawing(graph, place(graph, layout), look, kinds, nodes, ends_of(graph))
