"""Histories to test with."""

import numpy as np
from hypothesis import strategies as st

import graphtask as gt
from graphtask.graph import edge_names

TAU = 0.25  # thresholds and weights that binary fractions hit exactly, so that ties come up
VALUES = [0.0, 0.125, 0.25, 0.375, 0.5, 2.5, 2.625]


def history_of(magnitudes, *, edges=None):
    """A history without a gate, so that its magnitudes are exactly those given, of shape (epochs + 1, edges)."""
    w = np.asarray(magnitudes, dtype=np.float32)
    return gt.EdgeHistory(
        edges=edges or tuple(("in", f"n{index}") for index in range(w.shape[1])), w=w, gate="none"
    )


@st.composite
def histories(draw, *, most_epochs=8, most_edges=7):
    """Histories of up to most_epochs epochs, with weights that often equal the threshold or ten times it."""
    n_edges = draw(st.integers(1, most_edges))
    row = st.lists(st.sampled_from(VALUES), min_size=n_edges, max_size=n_edges)
    return history_of(draw(st.lists(row, min_size=2, max_size=most_epochs + 1)))


def trained(graph, *magnitudes):
    """The graph with the last of the magnitudes as its weights, and its history; the start is 0.5 everywhere."""
    history = history_of([[0.5] * graph.ecount(), *magnitudes], edges=tuple(edge_names(graph)))
    result = graph.copy()
    result.es["weight"] = [float(value) for value in history.w[-1]]
    result.es["w"] = result.es["weight"]
    return result, history
