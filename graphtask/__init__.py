"""Which wiring does a neural network want? Graphs in, PyTorch modules out, and the trained graphs back.

Names are loaded on first use, so that reading and measuring graphs never loads PyTorch; ``__init__.pyi`` beside
this file lists where each one lives.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
