"""Computation graph of any PyTorch module, at the granularity of layers or blocks."""
