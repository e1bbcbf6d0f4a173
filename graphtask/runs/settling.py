"""Settling of a run: the change of its edges per epoch, and hints for runs that are not settled or not sparse."""

SETTLED = 0.01
"""Largest change per epoch, relative, at which a run counts as settled."""


def edge_change(before: tuple[float, int], after: tuple[float, int]) -> float:
    """Return the relative change of Σ|gate(w)| or of the number of live edges in an epoch, the larger of the two.

    Args:
        before: Σ|gate(w)| and number of live edges at the end of the previous epoch.
        after: The same at the end of this epoch.

    Example:
        >>> edge_change((40.0, 100), (39.0, 98))
        0.025
    """
    changes = [abs(new - old) / old for old, new in zip(before, after, strict=True) if old]
    return max(changes, default=0.0)
