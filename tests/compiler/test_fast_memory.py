import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import torch
import graphtask as gt

torch.set_num_threads(1)
net = gt.compile(gt.chain_dag(3), channels=16)
images = torch.randn(64, 3, 32, 32)
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    net(images).sum().backward()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have other ways")
def test_a_step_fetches_next_to_no_memory_from_the_system():
    found = subprocess.run([sys.executable, "-c", FAULTS], check=True, capture_output=True, text=True)
    assert int(found.stdout) < 1_000  # pages; one activation has 1,024
