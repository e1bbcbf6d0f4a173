"""
Similarity and embedding
========================

Graphs are compared by their features: here sparse and dense random graphs, and banded ones.
"""

import graphtask as gt

graphs, labels = [], []
for seed in range(8):
    graphs += [
        gt.priors.erdos_renyi_dag(24, p=0.15, seed=seed, stages=3),
        gt.priors.erdos_renyi_dag(24, p=0.35, seed=seed, stages=3),
        gt.random_dag(24, seed=seed, stages=3),
    ]
    labels += ["thin", "thick", "local"]

found = gt.compare(graphs, labels, n_permutations=99)
gt.plot.draw_similarity(found.similarity, labels)

# %%
# The first two principal components of the features.

pca = found.embeddings["pca"]
gt.plot.draw_embedding(pca.points, labels, axes_labels=pca.axes)

# %%
# Every feature by group.

gt.plot.draw_features(gt.measure_all(graphs)[["edges", "mean_path", "max_path", "log_paths"]], labels)
