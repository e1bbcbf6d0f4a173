"""All metrics beyond the paper's: the 54 features of Nowak & Janik that its tables leave out, and those added here."""

from graphtask.metrics import (
    communicability_betweenness,
    communicability_means,
    current_flow,
    cuts,
    degrees,
    distances,
    invariant,
    local_efficiency,
    motifs,
    node_connectivity,
    pagerank,
    stages,
    triads,
    vitality,
    weighted,
)

EXTENDED = (
    *degrees.METRICS,
    *triads.METRICS,
    *motifs.METRICS,
    *stages.METRICS,
    *cuts.METRICS,
    *distances.METRICS,
    *local_efficiency.METRICS,
    *vitality.METRICS,
    *node_connectivity.METRICS,
    *current_flow.METRICS,
    *communicability_means.METRICS,
    *communicability_betweenness.METRICS,
    *pagerank.METRICS,
    *weighted.METRICS,
    *invariant.METRICS,
)
