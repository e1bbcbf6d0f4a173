"""Graphs in and out: GraphML files, networkx graphs, torch-geometric data."""
