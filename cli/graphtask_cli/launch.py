"""Rank of this process, for commands that ``torchrun`` started in several processes."""

import os


def process_rank() -> int:
    """Return the rank among the processes of ``torchrun``; 0 without it."""
    return int(os.environ.get("RANK", "0")) if "TORCHELASTIC_RUN_ID" in os.environ else 0
