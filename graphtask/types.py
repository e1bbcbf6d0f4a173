"""Array aliases and constants that several packages share."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
AnyArray: TypeAlias = npt.NDArray[Any]

EdgeName: TypeAlias = tuple[str, str]
"""An edge as (source name, target name); stable under pruning, unlike the edge ids of igraph."""

PAPER_THRESHOLD = 0.006
"""Pruning threshold τ of Janik & Nowak; edges with |tanh w| < τ are removed."""

STANDARD = "standard"
"""Name of the block of Janik & Nowak, `graphtask.blocks.ConvBlock`."""

DISTRIBUTION = "graphtask-nn"
"""Name of the distribution on the package index; `graphtask` there is a different project."""
