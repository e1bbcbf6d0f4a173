"""A second, naive implementation of the networks of graphs, to compare the compiler with."""

import torch
from torch.nn import functional


def randomized(module, seed=0):
    """The module in float64, with random values in every parameter and statistic, and edge weights of both signs."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double()
    for key, value in module.state_dict().items():
        if value.is_floating_point():
            noise = torch.rand(value.shape, generator=generator, dtype=value.dtype)
            value.copy_(
                noise + 0.5 if "running_vars" in key or "scale" in key or "shift" in key else 2 * noise - 1
            )
    return module


def naive_logits(graph, values, images, *, gate=torch.tanh, training):
    """The network's meaning read off the graph: recursion from the output, one functional block at a time.

    ``values`` maps state-dict keys to tensors; running statistics in it are updated when training.
    """
    names, stages = graph.vs["name"], graph.vs["stage"]
    memo = {}

    def norm(prefix, kind, x):
        row = ("3x3", "1x1").index(kind)
        mean, variance = values[f"{prefix}.running_means"][row], values[f"{prefix}.running_vars"][row]
        weight, bias = values[f"{prefix}.scale{kind}"], values[f"{prefix}.shift{kind}"]
        return functional.batch_norm(
            x, mean, variance, weight, bias, training=training, momentum=0.1, eps=1e-5
        )

    def block(prefix, a, stride):
        if prefix not in memo:
            long = functional.conv2d(
                functional.relu(a), values[f"{prefix}.weight3x3"], stride=stride, padding=1
            )
            short = functional.conv2d(a, values[f"{prefix}.weight1x1"], stride=stride)
            memo[prefix] = norm(prefix, "3x3", long) + norm(prefix, "1x1", short)
        return memo[prefix]

    def node(j):
        prefix = f"nodes.[{names[j]}]"
        if prefix in memo:
            return memo[prefix]
        if graph.indegree(j) == 0:
            return block(prefix, images, 2 ** stages[j])
        a = 0
        for edge in graph.incident(j, mode="in"):
            i = graph.es[edge].source
            x = node(i)
            if stages[i] < stages[j]:
                x = block(f"reduces.[{names[i]}]{stages[j]}", x, 2 ** (stages[j] - stages[i]))
            a = a + gate(values["edge_weight"][edge]) * x
        return block(prefix, a, 1)

    output = graph.outdegree().index(0)
    features = node(output).mean(dim=3).mean(dim=2)
    return features @ values["head.linear.weight"].T + values["head.linear.bias"]


def relative_error(value, reference):
    """The largest difference, relative to the largest value of the reference."""
    return ((value - reference).abs().max() / reference.abs().max().clamp(min=1e-30)).item()
