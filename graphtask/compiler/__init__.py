"""From an architecture graph to a PyTorch module, and from the trained module back to the graph."""
