"""Print the pip option that selects PyTorch's CPU wheels, or nothing.

The default wheels for Linux on x86-64 bring the CUDA libraries (about 5 GB). They are not needed on a machine without
an NVIDIA GPU, where PyTorch's CPU index offers the same version. Nothing is printed where there is a GPU, where the
default wheels are CPU wheels already, and where the index cannot be reached.

Set ``GRAPHTASK_TORCH_INDEX`` to another index, or to ``default`` to keep pip's own.
"""

import os
import platform
import shutil
import sys
import urllib.error
import urllib.request

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
TIMEOUT = 5.0  # seconds


def option() -> str:
    """Return ``--extra-index-url URL``, or an empty string."""
    chosen = os.environ.get("GRAPHTASK_TORCH_INDEX", "")
    if chosen:
        return "" if chosen == "default" else f"--extra-index-url {chosen}"
    has_cuda_wheels = sys.platform == "linux" and platform.machine() == "x86_64"
    has_gpu = bool(shutil.which("nvidia-smi")) or os.path.exists("/dev/nvidia0")  # noqa: PTH110
    if not has_cuda_wheels or has_gpu or not _answers(f"{CPU_INDEX}/torch/"):
        return ""
    return f"--extra-index-url {CPU_INDEX}"


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response:  # noqa: S310 - a constant https address
            return bool(response.status == 200)
    except (OSError, ValueError):
        return False


if __name__ == "__main__":
    sys.stdout.write(option())
