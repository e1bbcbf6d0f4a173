"""What the edge weights did during training, from the edge history of a run; without PyTorch."""
