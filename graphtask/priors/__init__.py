"""Initial graphs (priors): dense, random, or an undirected graph with its edges directed."""
