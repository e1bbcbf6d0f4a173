"""Speed and memory of the executions against the formulation of the method's authors: `make benchmark`."""
