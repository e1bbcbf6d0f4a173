"""The graph of any PyTorch module: what it computes for an example, at the granularity of layers or blocks."""
