"""P(G): distributions over graphs, fitted and sampled."""
