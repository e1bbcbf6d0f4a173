"""Dynamics of the edge weights during training, from the edge history of a run; without PyTorch."""
