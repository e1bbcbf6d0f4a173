"""Tests of differences between sets of graphs: all valid at every sample size, by permutation.

`graphtask.two_sample_test` compares two sets; the tests here compare single metrics, several sets, ordered sets, or train
a classifier. Names are loaded on first use, and only `classifier_test` loads PyTorch, when it is called.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
