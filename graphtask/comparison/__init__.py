"""Similarity of graphs, their positions in the plane, and how well their groups can be told apart.

`graphtask.compare` does all of it at once. Names are loaded on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
