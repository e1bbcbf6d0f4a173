"""The network of a graph as a PyTorch module, in its plain, readable execution."""

import math
from collections.abc import Callable, Collection
from typing import Literal, TypeAlias

import igraph
import torch
from jaxtyping import Float
from torch import Tensor, nn

from graphtask.compiler.blocks import BlockFactory, ConvBlock, Head
from graphtask.compiler.execution import EXECUTIONS, Automatic, Execution, choose_executor
from graphtask.compiler.explanation import Explanation, explain_stages
from graphtask.compiler.fast_step import step_dtype
from graphtask.compiler.plan import NodePlan, make_plan, node_key, reduce_key
from graphtask.compiler.planner import plan_stages
from graphtask.compiler.randomness import seeded
from graphtask.errors import ArgumentError
from graphtask.graph import RAW_WEIGHT, check_graph, edge_names, provenance
from graphtask.validation import choice, counted, image_size, integer, stage_selection

Gate: TypeAlias = Literal["tanh", "sigmoid", "none"]

_GATES: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "none": lambda weight: weight,
}
_MOST_CHANNELS = 2**20  # of a stage; beyond it the stages of the graph are a mistake


def compile(
    graph: igraph.Graph,
    *,
    channels: int,
    in_channels: int = 3,
    n_classes: int = 10,
    gate: Gate = "tanh",
    initial_weight: float = 0.5,
    execution: Execution = "auto",
    checkpoint: bool | Collection[int] = False,
    block: BlockFactory = ConvBlock,
    seed: int = 0,
) -> "GraphModule":
    """Make the network of a graph, on the CPU and in torch's default dtype.

    Node j of stage s has ``channels · 2^s`` channels, ``ceil(size / 2^s)`` pixels a side, and computes

        a_j = Σ_i gate(w_ij) · T_ij(x_i),    x_j = BN(Conv3×3(ReLU(a_j))) + BN(Conv1×1(a_j)),

    where T_ij is the identity inside a stage, and between stages a block of the same kind with stride 2^(t−s) that
    all edges from node i into stage t share. The head is the mean over the pixels of the output node and one linear
    layer (Janik & Nowak, "Connectivity Properties of Neural Networks Under Performance-Resources Trade-off").

    Edges that carry ``w`` start from it, so that a trained graph can be compiled again as it was; to start such a
    graph anew, delete it first (``del graph.es["w"]``).

    Args:
        graph: A valid architecture graph.
        channels: Channels of stage 0, at least 1.
        in_channels: Channels of the images, at least 1.
        n_classes: Number of scores, at least 1.
        gate: What an edge multiplies by: ``tanh(w)``, ``sigmoid(w)``, or ``w`` itself ("none").
        initial_weight: gate(w) of every edge at the start: within (−1, 1) for tanh, (0, 1) for sigmoid.
        execution: How the same function is computed: "plain" is node by node; "fast" is by stage, in less time and
            memory; "auto" takes the fast one on the CPU and on CUDA, if all blocks are standard ones and the work is
            not very small (`GraphModule.explain` says so). Parameters and state dict are the same for all. The fast
            one has no second derivative (docs/performance.md).
        checkpoint: Whether the fast execution computes some of what its backward needs again, to keep less: in all
            stages, or in those of these numbers. `GraphModule.explain` shows what each stage keeps.
        block: Makes a node's block from its input channels, output channels and stride; the result has to have
            ``ceil(size / stride)`` pixels a side.
        seed: Seed of the initial parameters, >= 0. They are drawn from a generator of this call: the global generator is
            neither read nor changed, and calls in several threads do not affect each other.

    Returns:
        The module; it maps images (batch, in_channels, height, width) to logits (batch, n_classes).

    Raises:
        GraphError: The graph is not valid; among other things, some edges carry ``w`` and others do not.
        ArgumentError: An argument is out of range, or ``gate`` is not the one that the graph's ``w`` was trained with.

    Example:
        >>> import graphtask as gt
        >>> net = gt.compile(gt.full_dag(60, stages=3), channels=11)
        >>> net
        GraphModule(60 nodes, 1,770 edges, 3 stages, 863,300 parameters, channels=11, in_channels=3, n_classes=10, gate='tanh', execution='auto')
        >>> net(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """
    with seeded(integer(seed, name="seed", least=0)):
        return GraphModule(
            graph,
            channels=channels,
            in_channels=in_channels,
            n_classes=n_classes,
            gate=gate,
            initial_weight=initial_weight,
            execution=execution,
            checkpoint=checkpoint,
            block=block,
        )


class GraphModule(nn.Module):
    """The network of a graph; made by `compile`, whose arguments it keeps as attributes.

    ``edge_weight`` is one parameter vector with the raw weights in the order of the graph's edges. ``nodes`` and
    ``reduces`` hold the blocks under keys made from the nodes' names, so the parameters of a pruned graph keep theirs.
    """

    def __init__(
        self,
        graph: igraph.Graph,
        *,
        channels: int,
        in_channels: int,
        n_classes: int,
        gate: Gate,
        initial_weight: float,
        execution: Execution,
        checkpoint: bool | Collection[int],
        block: BlockFactory,
    ) -> None:
        check_graph(graph)
        super().__init__()
        self.channels = integer(channels, name="channels")
        self.in_channels = integer(in_channels, name="in_channels")
        self.n_classes = integer(n_classes, name="n_classes")
        self.gate: Gate = choice(gate, name="gate", choices=tuple(_GATES))  # type: ignore[assignment]
        self.block = block
        self.plan = make_plan(graph)
        self._graph = graph.copy()
        self._edge_index = {pair: index for index, pair in enumerate(edge_names(graph))}
        self._check_widest_stage()

        start = _initial_weights(graph, gate=gate, initial_weight=initial_weight)
        self.edge_weight = nn.Parameter(torch.tensor(start))
        self.nodes = nn.ModuleDict({node.key: self._node_block(node) for node in self.plan.nodes})
        self.reduces = nn.ModuleDict(
            {
                reduction.key: block(self._width(node.stage), self._width(reduction.stage), reduction.stride)
                for node in self.plan.nodes
                for reduction in node.reduces
            }
        )
        self.head = Head(self._width(self.plan.output.stage), self.n_classes)
        self.checkpoint = stage_selection(
            checkpoint, name="checkpoint", stages={node.stage for node in self.plan.nodes}
        )
        self.execution = execution

    def forward(
        self, images: Float[Tensor, "batch in_channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """The logits of a batch of images.

        Raises:
            ArgumentError: The images do not fit the network.
        """
        self._check_images(images)
        return self.executor(self, images)

    @property
    def execution(self) -> Execution:
        """How the module is computed; see `compile`. It may be changed at any time."""
        return self._execution

    @execution.setter
    def execution(self, execution: Execution) -> None:
        self._execution: Execution = choice(execution, name="execution", choices=EXECUTIONS)  # type: ignore[assignment]
        self.executor = choose_executor(execution, self.plan, checkpoint=self.checkpoint)

    @property
    def graph(self) -> igraph.Graph:
        """A copy of the graph that was compiled; for the trained one see `graphtask.write_back`."""
        return self._graph.copy()

    def edge_weights(self) -> Float[Tensor, " edges"]:
        """What each edge multiplies by, gate(w), with its sign, in the order of the graph's edges."""
        return _GATES[self.gate](self.edge_weight)

    def resource_loss(self) -> Float[Tensor, ""]:
        """The price of the connections, ``Σ_e |gate(w_e)|``, in float32 or better also under autocast."""
        precise = torch.promote_types(self.edge_weight.dtype, torch.float32)
        return _GATES[self.gate](self.edge_weight.to(precise)).abs().sum()

    def explain(self, *, batch: int = 128, size: int | tuple[int, int] = 32) -> Explanation:
        """What the fast execution does with a batch of images, and what that costs; ``print`` shows it.

        Convolutions and memory are counted as those of the standard blocks, under autocast in its precision. Which
        execution is taken is said for a call where gradients are as they are now (``torch.no_grad()`` or not).

        Args:
            batch: Images of the batch.
            size: Height and width of the images, in pixels; one number is both.

        Raises:
            ArgumentError: An argument is out of range.

        Example:
            >>> import graphtask as gt
            >>> print(gt.compile(gt.full_dag(60, stages=3), channels=11).explain())
            execution='auto', a batch of 128 images of 32×32 pixels
            stage  nodes  sources  edges across      edges inside      block  GFLOP   MB summed   MB kept
                0     20        0        0 none          190 product       4    6.1         865       346
                1     20       20      400 product       190 product       4    9.5         779       288
                2     20       40      800 product       190 product       4   11.1         533       202
            a forward: 26.7 GFLOP in convolutions, 2,177 MB moved by weighted sums (21,122 MB if every node stacked its inputs)
            memory: 1,194 MB in training (473 MB with checkpoint=True), 225 MB in inference
        """
        height, width = image_size(size, last_stage=self.plan.output.stage)
        shape = (integer(batch, name="batch"), self.in_channels, height, width)
        images = self.edge_weight.detach().new_empty(1).expand(shape)  # which takes no memory
        return explain_stages(
            plan_stages(self.plan),
            shape,
            channels=self.channels,
            itemsize=step_dtype(images).itemsize,
            execution=self.execution,
            why_plain=self._why_plain(images),
            checkpoint=self.checkpoint,
        )

    def node(self, name: str) -> nn.Module:
        """The block of a node.

        Raises:
            ArgumentError: The graph has no such node.
        """
        key = node_key(name)
        if key not in self.nodes:
            raise ArgumentError(f"no node is named {name!r}; the names are those of module.graph.vs['name']")
        return self.nodes[key]

    def reduce(self, name: str, stage: int) -> nn.Module:
        """The block that brings a node's value into a later stage.

        Raises:
            ArgumentError: No edge leads from that node into that stage, or the node is in it.
        """
        key = reduce_key(name, stage)
        if key not in self.reduces:
            raise ArgumentError(
                f"node {name!r} has no reduction into stage {stage}; there is one for each later stage that an edge "
                f"of the node leads into"
            )
        return self.reduces[key]

    def edge(self, source: str, target: str) -> Float[Tensor, ""]:
        """What the edge between two nodes multiplies by, gate(w).

        Raises:
            ArgumentError: The graph has no such edge.
        """
        return self.edge_weights()[self.edge_index(source, target)]

    def edge_index(self, source: str, target: str) -> int:
        """The place of the edge between two nodes in ``edge_weight``.

        Raises:
            ArgumentError: The graph has no such edge.
        """
        if (source, target) not in self._edge_index:
            raise ArgumentError(
                f"no edge leads from {source!r} to {target!r}; see graphtask.graph.edge_names"
            )
        return self._edge_index[source, target]

    def __repr__(self) -> str:
        return f"GraphModule({self.extra_repr()})"

    def extra_repr(self) -> str:
        """The size and the options of the network, on one line."""
        sizes = (
            counted(len(self.plan.nodes), "node"),
            counted(self.plan.n_edges, "edge"),
            counted(self.plan.output.stage + 1, "stage"),
            counted(sum(parameter.numel() for parameter in self.parameters()), "parameter"),
        )
        options = (
            f"channels={self.channels}, in_channels={self.in_channels}, n_classes={self.n_classes}, "
            f"gate={self.gate!r}, execution={self.execution!r}"
        )
        return ", ".join((*sizes, options))

    def _width(self, stage: int) -> int:
        return self.channels << stage

    def _node_block(self, node: NodePlan) -> nn.Module:
        width = self._width(node.stage)
        return self.block(width if node.incoming else self.in_channels, width, node.stride)

    def _check_widest_stage(self) -> None:
        stage = self.plan.output.stage
        if stage > 20 or self._width(stage) > _MOST_CHANNELS:
            raise ArgumentError(
                f"stage {stage} would have {self.channels}·2^{stage} channels, more than {_MOST_CHANNELS:,}; "
                f"number the stages of the graph 0, 1, 2 …, or take fewer channels"
            )

    def _why_plain(self, images: Tensor) -> str | None:
        if isinstance(self.executor, Automatic):
            return self.executor.why_plain(self, images)
        return "of execution='plain'" if self.execution == "plain" else None

    def _check_images(self, images: Tensor) -> None:
        if not isinstance(images, Tensor) or images.ndim != 4:
            raise ArgumentError(
                f"images have to be a tensor (batch, {self.in_channels}, height, width), not {_shown(images)}"
            )
        _, channels, height, width = images.shape
        if channels != self.in_channels:
            raise ArgumentError(
                f"images {_shown(images)} have {channels} channels, the network takes {self.in_channels}; "
                f"compile the graph with in_channels={channels}"
            )
        height, width = image_size((height, width), last_stage=self.plan.output.stage)
        if images.device != self.edge_weight.device:
            raise ArgumentError(
                f"the images are on {images.device}, the network is on {self.edge_weight.device}; move one of them"
            )
        if images.dtype != self.edge_weight.dtype and not self._casts(images):
            raise ArgumentError(
                f"the images are {images.dtype}, the network is {self.edge_weight.dtype}; convert one of them"
            )
        self._check_statistics(images)

    def _check_statistics(self, images: Tensor) -> None:
        """Complain where a normalization would take statistics of less than two values."""
        batch, _, height, width = images.shape

        def n_values(stage: int) -> int:
            return batch * -(-height // (1 << stage)) * -(-width // (1 << stage))

        if n_values(self.plan.output.stage) > 1:  # no other stage has less
            return
        blocks = [(node.stage, self.nodes[node.key]) for node in self.plan.nodes]
        blocks += [(into.stage, self.reduces[into.key]) for node in self.plan.nodes for into in node.reduces]
        for stage, block in blocks:
            norms = (part for part in block.modules() if isinstance(part, nn.BatchNorm2d))
            if n_values(stage) < 2 and any(norm.training for norm in norms):
                raise ArgumentError(
                    f"{_shown(images)} leaves less than two values a channel in stage {stage}, too few for batch "
                    f"normalization; use a larger batch or larger images, or module.eval()"
                )

    def _casts(self, images: Tensor) -> bool:
        return images.is_floating_point() and torch.is_autocast_enabled(images.device.type)


def _initial_weights(graph: igraph.Graph, *, gate: Gate, initial_weight: float) -> list[float]:
    if RAW_WEIGHT not in graph.es.attributes():
        return [_raw_weight(gate, initial_weight)] * graph.ecount()
    trained_with = provenance(graph).get("gate", gate)
    if trained_with != gate:
        raise ArgumentError(
            f"the edges carry a `{RAW_WEIGHT}` that was trained with gate={trained_with!r}, not {gate!r}; compile "
            f"with that gate, or delete the attribute to start anew"
        )
    return [float(weight) for weight in graph.es[RAW_WEIGHT]]


def _raw_weight(gate: Gate, value: float) -> float:
    low, high = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "none": (-math.inf, math.inf)}[gate]
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not low < number < high:
        raise ArgumentError(
            f"initial_weight has to be a number between {low:g} and {high:g} (both excluded) for gate={gate!r}, "
            f"not {value!r}"
        )
    if gate == "tanh":
        return math.atanh(number)
    return math.log(number) - math.log1p(-number) if gate == "sigmoid" else number


def _shown(images: object) -> str:
    return f"of shape {tuple(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
