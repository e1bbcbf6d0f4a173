"""Dynamics of the edge weights during training, from the edge history of a run; without PyTorch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
