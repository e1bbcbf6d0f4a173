"""What a command has to know of the other processes, where ``torchrun`` started several of it."""

import os


def process_rank() -> int:
    """Which one of them this process is; 0 if it is the leader, or alone."""
    return int(os.environ.get("RANK", "0")) if "TORCHELASTIC_RUN_ID" in os.environ else 0
