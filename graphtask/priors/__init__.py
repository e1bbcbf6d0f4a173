"""Initial graphs (priors): dense, random, or an undirected graph with its edges directed.

`graphtask.full_dag` and other dense graphs are in the root. Names are loaded on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
