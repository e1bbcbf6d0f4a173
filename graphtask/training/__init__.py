"""Training with an L1 penalty on the edges, in crash-safe runs; sweeps and retraining of finished runs.

`graphtask.train`, `graphtask.sweep` and `graphtask.retrain` start from here. Names are loaded on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
