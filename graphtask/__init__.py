"""Graphs of neural networks: compile to PyTorch, train, prune, measure, compare.

Names are loaded on first use, so that reading and measuring graphs never loads PyTorch; ``__init__.pyi`` next to
this file lists where each one lives.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
