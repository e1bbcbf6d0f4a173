"""Networks from graphs: their size, their weights in the graph, and subnetworks of pruned graphs.

`graphtask.compile` makes a network. Names are loaded on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
