"""Measuring graphs: the metrics as data (`registry`), what they share (`view`), and rows of them (`table`)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
