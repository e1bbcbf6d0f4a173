"""P(G): distributions of graphs, fitted to sets of graphs."""
