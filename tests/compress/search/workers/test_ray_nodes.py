"""Several simulated machines on this one: one of them is lost in the middle of a search."""

from __future__ import annotations

import pytest

from glp_export.compress.search.workers import WORKERS, WorkerResources
from tests.compress.search.workers.test_ray_cluster import ray
from tests.compress.search.workers.trials import TRIALS, outcomes_of, plain

pytestmark = pytest.mark.cluster


@pytest.fixture
def machines(monkeypatch):
    """A head that carries out nothing, and two nodes of one CPU, each with its own workers."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    small = {"include_dashboard": False, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20) for _ in range(2)]
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False, logging_level="warning")
    yield cluster, nodes
    ray.shutdown()
    cluster.shutdown()


def test_a_machine_that_is_lost_costs_time_and_nothing_else(machines, context):
    cluster, nodes = machines
    found = []
    with WORKERS["ray"].open(context, WorkerResources(), lambda message: None) as run_trial:
        for outcome in run_trial(TRIALS):
            if not found:
                cluster.remove_node(nodes[0], allow_graceful=False)
            found.append(outcome)
    assert sum(node["Alive"] for node in ray.nodes()) == 2  # the head and one
    assert plain(found) == plain(outcomes_of("serial", context))
