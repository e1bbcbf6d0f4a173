import pytest
from compiler.oracle import randomized

import graphtask as gt

pytest.register_assert_rewrite("compiler.executions")


@pytest.fixture
def graph():
    return gt.full_dag(7, stages=[3, 3, 1])


@pytest.fixture
def module(graph):
    return randomized(gt.compile(graph, channels=2, n_classes=3, execution="fused"))


@pytest.fixture
def automatic(monkeypatch, module):
    """A module for which the fused execution would be taken, although it is small."""
    monkeypatch.setattr("graphtask.compiler.execution.expected_gain", lambda *_, **__: 1.0)
    module.execution = "auto"
    return module
