import inspect

import pytest

import graphtask as gt
from graphtask.priors.registry import PRIORS, make_prior

VALUES = {"bandwidth": 3, "p": 0.5, "neighbors": 4, "attachments": 2, "seed": 1}


@pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS.keys())
def test_the_table_has_the_arguments_of_each_function(prior):
    parameters = inspect.signature(prior.function).parameters
    declared = {argument.name: argument for argument in prior.arguments}

    assert set(declared) | {"stages"} == set(parameters)
    for name, argument in declared.items():
        default = parameters[name].default
        if name == "seed" or default is inspect.Parameter.empty:
            assert argument.default is None
        else:
            assert argument.default == default
        assert argument.help.endswith(".")


@pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS.keys())
def test_every_prior_comes_back_from_its_provenance_by_its_one_name(prior):
    arguments = {
        argument.name: VALUES[argument.name] for argument in prior.arguments if argument.name in VALUES
    }
    graph = prior.function(12, **arguments)
    known = gt.provenance(graph)["prior"]

    assert known["name"] == prior.name
    assert make_prior(known["name"], known["arguments"]).get_edgelist() == graph.get_edgelist()


@pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS.keys())
def test_values_outside_of_the_declared_range_are_refused(prior):
    for argument in prior.arguments:
        bad = [
            value
            for value, bound in ((argument.least, -1), (argument.most, 1))
            if value is not None
            for value in [value + bound]
        ]
        bad += ["nonsense"] if argument.choices else []
        for value in bad:
            arguments = {
                name: VALUES[name] for name in VALUES if name in inspect.signature(prior.function).parameters
            }
            with pytest.raises(gt.errors.ArgumentError, match=argument.name):
                prior.function(**{"n_nodes": 12} | arguments | {argument.name: value})


@pytest.mark.parametrize(
    "make",
    [
        lambda: gt.full_dag(200_000),
        lambda: gt.banded_dag(1_000_000, bandwidth=100),
        lambda: gt.priors.erdos_renyi_dag(200_000, p=0.5, seed=0),
        lambda: gt.priors.watts_strogatz_dag(1_000_000, neighbors=2, p=0.1, seed=0),
        lambda: gt.priors.barabasi_albert_dag(200_000, attachments=100_000, seed=0),
        lambda: gt.random_dag(10_000_000, out_degree=3, seed=0),
    ],
)
def test_graphs_that_no_memory_holds_are_refused_with_their_size(make):
    with pytest.raises(
        gt.errors.ArgumentError, match=r"n_nodes must give at most 8,000,000 edges.* GiB; use fewer nodes"
    ):
        make()
