"""Many training runs from one file: data sets × priors × seeds.

`graphtask.Study` reads and runs it. Names are loaded on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
