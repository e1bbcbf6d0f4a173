"""Print the SHA-256 of edge histories and losses for several configurations, to compare versions of graphtask.

    python tests/training/digests.py

The figures depend on the machine and the release of PyTorch, so they are compared, not recorded.
"""

import hashlib

import torch

import graphtask as gt

COMMON = {"epochs": 2, "batch_size": 50}
CASES = {
    "paper": {},
    "plain": {"execution": "plain"},
    "sigmoid": {"gate": "sigmoid", "edge_l1": 0.02},
    "bf16": {"precision": "bf16"},
    "still": {"crop_padding": 0, "flip": False, "weight_decay": 0.0},
}


def train(options):
    """Train with options by keyword, on this version of graphtask or on one with `Regime`."""
    digits = gt.load_data("cdigits").subset(n_train=120, n_test=60, seed=0)
    shared = {"data": digits, "channels": 2, "seed": 3, "progress": False}
    options = COMMON | options
    if hasattr(gt, "Regime"):
        options = {{"edge_l1": "resource_price"}.get(name, name): value for name, value in options.items()}
        fields = gt.Regime.__dataclass_fields__
        regime = gt.Regime(**{name: value for name, value in options.items() if name in fields})
        rest = {name: value for name, value in options.items() if name not in fields}
        return gt.train(gt.full_dag(6), regime=regime, **shared, **rest)
    return gt.train(gt.full_dag(6), **shared, **options)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, options in CASES.items():
        run = train(options)
        losses = run.metrics[["train_loss", "test_loss"]].to_numpy()
        print(f"{name:<8} {hashlib.sha256(run.history.w.tobytes() + losses.tobytes()).hexdigest()[:24]}")  # noqa: T201
