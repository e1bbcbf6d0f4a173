"""A Ray cluster of two nodes of one CPU on this machine, for test_ray_engine.py.

Prints its address; then a line on stdin takes the second node away, and the end of stdin ends everything.
"""

import contextlib
import os
import sys

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_raylet_start_wait_time_s"] = "120"  # noqa: SIM112  # Ray's own spelling; for busy machines; read at import

from ray.cluster_utils import Cluster

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
TRIES = 8  # a node gives up if one of its processes takes 15 s to start, as on busy machines


def started(make):
    for _ in range(TRIES - 1):
        with contextlib.suppress(Exception):  # Ray raises no other type
            return make()
    return make()


def main() -> None:
    cluster = started(
        lambda: Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    )
    second = started(lambda: cluster.add_node(**NODE))
    sys.stdout.write(f"{cluster.address}\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        cluster.remove_node(second)
    cluster.shutdown()


if __name__ == "__main__":
    main()
