"""Engines that perform the tasks of studies and corpora: processes on this machine, or a Ray cluster.

Names are loaded on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
