"""Write docs/layers.svg, the picture of the layers, from the contract in pyproject.toml.

Run it after changing the contract: ``.venv/bin/python docs/make_layers.py``. A test compares the picture with it.
"""

import sys
import tomllib
from pathlib import Path

PICTURE = Path(__file__).with_name("layers.svg")
_CONTRACT = "imports go down only"
_WIDTH, _ROW, _GAP, _PAD = 860, 34, 8, 12
_COLORS = ("#e8eef7", "#dfe9e2", "#f5ecdc", "#f0e4ea")


def layers() -> list[list[str]]:
    """Return the packages of every layer, the highest layer first."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (contract,) = (found for found in contracts if found["name"] == _CONTRACT)
    return [
        [part.strip().removeprefix("graphtask.") for part in layer.split("|")] for layer in contract["layers"]
    ]


def picture() -> str:
    """Return the picture as SVG."""
    rows = layers()
    height = len(rows) * (_ROW + _GAP) + 2 * _PAD
    boxes = [box for number, names in enumerate(rows) for box in _row(number, names)]
    arrow = (
        f'<path d="M{_WIDTH - 18} {_PAD} V{height - _PAD}" stroke="#555" stroke-width="1.5" fill="none"/>'
        f'<path d="M{_WIDTH - 23} {height - _PAD - 8} l5 8 l5 -8" stroke="#555" stroke-width="1.5" fill="none"/>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
        f'font-size="14"><title>Layers of graphtask; imports go down only</title>\n'
        + "\n".join([*boxes, arrow])
        + "\n</svg>\n"
    )


def _row(number: int, names: list[str]) -> list[str]:
    top = _PAD + number * (_ROW + _GAP)
    width = (_WIDTH - 40 - _PAD - _GAP * (len(names) - 1)) / len(names)
    boxes = []
    for place, name in enumerate(names):
        left = _PAD + place * (width + _GAP)
        boxes.append(
            f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{_ROW}" rx="5" '
            f'fill="{_COLORS[number % len(_COLORS)]}" stroke="#8a8f98"/>'
            f'<text x="{left + width / 2:.1f}" y="{top + 22}" text-anchor="middle" fill="#1b1f24">{name}</text>'
        )
    return boxes


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    sys.stdout.write(f"{PICTURE}\n")
