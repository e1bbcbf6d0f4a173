"""The network of a graph as a PyTorch module."""

from collections.abc import Callable, Collection

import igraph
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from graphtask.compiler.blocks import BlockFactory, ConvBlock, HeadFactory
from graphtask.compiler.execution import EXECUTORS, Execution, Executor, why_plain
from graphtask.compiler.fused.explain import Explanation, explain
from graphtask.compiler.fused.staged import Program
from graphtask.compiler.gates import Gate, GateFunction, check_gate, raw_weight
from graphtask.compiler.library import PARTS
from graphtask.compiler.operations import OPERATION, cell_operations, operation_block
from graphtask.compiler.plan import NodePlan, make_plan, node_key, reduce_key
from graphtask.compiler.randomness import seeded
from graphtask.errors import ArgumentError, GraphError
from graphtask.graph import RAW_WEIGHT, edge_names, provenance
from graphtask.named import called
from graphtask.storage.objects import GraphLike, valid_graph
from graphtask.types import STANDARD
from graphtask.validation import abbreviated, choice, counted, image_size, integer, invalid, stage_selection

_MOST_CHANNELS = 2**20  # of a stage; beyond it the stages of the graph are a mistake


def compile(
    graph: GraphLike,
    *,
    channels: int,
    in_channels: int = 3,
    n_classes: int = 10,
    gate: Gate = "tanh",
    initial_weight: float = 0.5,
    execution: Execution = "auto",
    recompute: bool | Collection[int] = False,
    block: BlockFactory | str = STANDARD,
    head: HeadFactory | str = "pooled",
    seed: int = 0,
) -> "GraphModule":
    """Make the network of a graph, on the CPU and in torch's default dtype.

    Node j of stage s has ``channels · 2^s`` channels, ``ceil(size / 2^s)`` pixels per side, and computes

        a_j = Σ_i gate(w_ij) · T_ij(x_i),    x_j = BN(Conv3×3(ReLU(a_j))) + BN(Conv1×1(a_j)),

    where T_ij is the identity inside a stage, and between stages a block of the same kind with stride 2^(t−s) that
    all edges from node i into stage t share. The head is the mean over the pixels of the output node and one linear
    layer (Janik & Nowak, "Connectivity Properties of Neural Networks Under Performance-Resources Trade-off").

    Edges that carry ``w`` start from it, so that a trained graph is compiled with its trained weights. To start such a
    graph from scratch, delete the attribute first (``del graph.es["w"]``).

    Args:
        graph: A valid architecture graph.
        channels: Channels of stage 0, at least 1.
        in_channels: Channels of the images, at least 1.
        n_classes: Number of scores, at least 1.
        gate: Function of the raw weight w that an edge multiplies by: "tanh", "sigmoid", the identity ("none"),
            ``package.module:name``, or a function of a module that maps a tensor element by element.
        initial_weight: Initial gate(w) of every edge: within (−1, 1) for tanh, (0, 1) for sigmoid.
        execution: Execution of the network: "plain" computes node by node; "fused" computes by stage, in less time and
            memory; "auto" takes the fused one on the CPU and on CUDA, if all blocks are standard ones and the work is
            not very small (see `GraphModule.explain`). Parameters and state dict are the same for all. The fused
            one has no second derivative (docs/performance.md).
        recompute: Activation checkpointing: whether the backward of the fused execution computes sums and convolutions
            again, to keep less; in all stages, or in those listed. `GraphModule.explain` shows what each stage keeps.
        block: Name in `graphtask.blocks.BLOCKS`, ``package.module:name``, or a function that makes a node's block from
            its input channels, output channels and stride; the block must return ``ceil(size / stride)`` pixels per side.
            "operations" takes the operation of each node, its attribute ``op``, as cells of architecture search have it.
        head: Head that reads the value of the output node: "pooled", "dense" (scores of every pixel, of the size of the
            images if the last stage divides it), ``package.module:name``, or a function that makes one from the channels,
            the number of outputs and the stride of the output node.
        seed: Seed of the initial parameters, >= 0. They are drawn from a generator of this call: the global generator is
            neither read nor changed, and calls in several threads do not affect each other.

    Returns:
        The module; it maps images (batch, in_channels, height, width) to logits (batch, n_classes).

    Raises:
        GraphError: The graph is not valid; for example, some edges carry ``w`` and others do not.
        ArgumentError: An argument is out of range, or ``gate`` differs from the one that the graph's ``w`` was trained
            with.

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
            valid_graph(graph),
            channels=channels,
            in_channels=in_channels,
            n_classes=n_classes,
            gate=gate,
            initial_weight=initial_weight,
            execution=execution,
            recompute=recompute,
            block=PARTS["block"].load(block),
            head=PARTS["head"].load(head),
        )


class GraphModule(nn.Module):
    """Network of a graph; made by `compile`, whose arguments are its attributes.

    ``edge_weight`` is one parameter vector with the raw weights in the order of the graph's edges. ``nodes`` and
    ``reduces`` hold the blocks under keys made from the nodes' names, so that the parameters of a pruned graph keep
    their names.
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
        recompute: bool | Collection[int],
        block: BlockFactory,
        head: HeadFactory,
    ) -> None:
        super().__init__()
        self.channels = integer(channels, name="channels")
        self.in_channels = integer(in_channels, name="in_channels")
        self.n_classes = integer(n_classes, name="n_classes")
        self.gate_function: GateFunction = PARTS["gate"].load(gate)
        self.gate = gate if isinstance(gate, str) else PARTS["gate"].name_of(gate)
        check_gate(self.gate_function, self.gate)
        self.block = block
        self.make_head = head
        self.plan = make_plan(graph)
        self._graph = graph.copy()
        self._edge_index = {pair: index for index, pair in enumerate(edge_names(graph))}
        self._check_widest_stage()

        start = self._initial_weights(initial_weight)
        self.edge_weight = nn.Parameter(torch.tensor(start))
        self.nodes = nn.ModuleDict({node.key: self._node_block(node) for node in self.plan.nodes})
        self.reduces = nn.ModuleDict(
            {
                reduction.key: _built(
                    block,
                    self._width(node.stage),
                    self._width(reduction.stage),
                    reduction.stride,
                    name="block",
                )
                for node in self.plan.nodes
                for reduction in node.reduces
            }
        )
        stage = self.plan.output.stage
        self.head = _built(head, self._width(stage), self.n_classes, 1 << stage, name="head")
        self.recompute = stage_selection(
            recompute, name="recompute", stages={node.stage for node in self.plan.nodes}
        )
        self.program = Program(self.plan, self.recompute)
        self.execution = execution

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, (batch, n_classes), of images (batch, in_channels, height, width).

        Raises:
            ArgumentError: The images do not fit the network.
        """
        self._check_images(images)
        return self.executor(self, images)

    @property
    def execution(self) -> Execution:
        """Execution of the module; see `compile`. It may be changed at any time."""
        return self._execution

    @execution.setter
    def execution(self, execution: Execution) -> None:
        self._execution: Execution = choice(execution, name="execution", choices=tuple(EXECUTORS))  # type: ignore[assignment]
        self.executor: Executor = EXECUTORS[execution]

    @property
    def graph(self) -> igraph.Graph:
        """Copy of the graph that was compiled; for the trained one see `graphtask.compiler.write_back`."""
        return self._graph.copy()

    def edge_weights(self) -> Tensor:
        """Return the factor of each edge, gate(w), with its sign, in the order of the graph's edges."""
        return self.gate_function(self.edge_weight)

    def factors_of(self, weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return gate(w) of raw weights, shape (edges,), such as those of an earlier epoch."""
        with torch.no_grad():
            return self.gate_function(torch.from_numpy(weights)).numpy()

    def resource_loss(self) -> Tensor:
        """Return the resource loss ``Σ_e |gate(w_e)|``, in float32 or better also under autocast."""
        precise = torch.promote_types(self.edge_weight.dtype, torch.float32)
        return self.gate_function(self.edge_weight.to(precise)).abs().sum()

    def explain(self, *, batch: int = 128, size: int | tuple[int, int] = 32) -> Explanation:
        """Return the plan of the fused execution for a batch of images, with its work and memory.

        Convolutions and memory are counted as those of the standard blocks, under autocast in its precision. The
        choice of execution is that of a call where gradients are as they are now (``torch.no_grad()`` or not).

        Args:
            batch: Images of the batch.
            size: Height and width of the images, in pixels; one number stands for both.

        Raises:
            ArgumentError: An argument is out of range.

        Example:
            >>> import graphtask as gt
            >>> print(gt.compile(gt.full_dag(60, stages=3), channels=11).explain())
            128 images of 32×32 pixels, fused execution:
            stage  nodes  sources  edges  sums    GFLOP  MB kept
                0     20        0    190  dense     6.1      346
                1     20       20    590  dense     9.5      288
                2     20       40    990  dense    11.1      202
            26.7 GFLOP; 1,194 MB in training (473 MB with recompute=True), 225 MB in inference
        """
        height, width = image_size(size, last_stage=self.plan.output.stage)
        shape = (integer(batch, name="batch"), self.in_channels, height, width)
        images = self.edge_weight.detach().new_empty(1).expand(shape)  # which takes no memory
        return explain(self, images, why_plain(self, images))

    def node(self, name: str) -> nn.Module:
        """Return the block of a node.

        Raises:
            ArgumentError: The graph has no node of this name.
        """
        key = node_key(name)
        if key not in self.nodes:
            raise invalid("name", "a name in module.graph.vs['name']", name)
        return self.nodes[key]

    def reduce(self, name: str, stage: int) -> nn.Module:
        """Return the block that brings a node's value into a later stage.

        Raises:
            ArgumentError: No edge leads from the node into a later stage of this number.
        """
        key = reduce_key(name, stage)
        if key not in self.reduces:
            raise invalid("stage", f"a later stage that an edge of node {name!r} leads into", stage)
        return self.reduces[key]

    def edge(self, source: str, target: str) -> Tensor:
        """Return the factor of the edge between two nodes, gate(w), a scalar.

        Raises:
            ArgumentError: The graph has no such edge.
        """
        return self.edge_weights()[self.edge_index(source, target)]

    def edge_index(self, source: str, target: str) -> int:
        """Return the index of the edge between two nodes in ``edge_weight``.

        Raises:
            ArgumentError: The graph has no such edge.
        """
        if (source, target) not in self._edge_index:
            raise ArgumentError(
                f"source and target must be the ends of an edge, got {source!r} → {target!r}; see "
                f"graphtask.graph.edge_names"
            )
        return self._edge_index[source, target]

    def __repr__(self) -> str:
        return f"GraphModule({self.extra_repr()})"

    def _repr_html_(self) -> str:
        from graphtask.drawing.cards import module_card

        return module_card(self)

    def extra_repr(self) -> str:
        """Return the size and the options of the network, on one line."""
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

    def _initial_weights(self, initial_weight: float) -> list[float]:
        graph = self._graph
        if RAW_WEIGHT not in graph.es.attributes():
            return [raw_weight(self.gate_function, initial_weight, name=self.gate)] * graph.ecount()
        trained_with = provenance(graph).get("gate", self.gate)
        if trained_with != self.gate:
            raise invalid(
                "gate",
                f"{trained_with!r}, with which `{RAW_WEIGHT}` of the edges was trained",
                self.gate,
                remedy="or delete the attribute to start from scratch",
            )
        return [float(weight) for weight in graph.es[RAW_WEIGHT]]

    def _width(self, stage: int) -> int:
        return self.channels << stage

    def _node_block(self, node: NodePlan) -> nn.Module:
        width = self._width(node.stage)
        block = self.block
        if block is cell_operations:
            block = operation_block(self._operation(node.name), is_input=not node.incoming)
        return _built(block, width if node.incoming else self.in_channels, width, node.stride, name="block")

    def _operation(self, name: str) -> str | None:
        """Return the operation of a node; None for a node without one, which another node of the graph may be."""
        if OPERATION not in self._graph.vs.attributes():
            raise GraphError(
                "no vertex has an `op`, which the block of operations needs",
                remedy="use another block, or a graph of a cell",
            )
        found = self._graph.vs.find(name=name)[OPERATION]
        return None if found is None else str(found)

    def _check_widest_stage(self) -> None:
        stage = self.plan.output.stage
        if stage > 20 or self._width(stage) > _MOST_CHANNELS:
            raise ArgumentError(
                f"channels must give stage {stage} at most {_MOST_CHANNELS:,} channels, got {self.channels}·2^{stage}; "
                f"number the stages of the graph 0, 1, 2 …, or take fewer channels"
            )

    def _check_images(self, images: Tensor) -> None:
        if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1] != self.in_channels:
            is_image = isinstance(images, Tensor) and images.ndim == 4
            raise invalid(
                "images",
                f"a tensor of shape (batch, {self.in_channels}, height, width)",
                images,
                remedy=f"compile the graph with in_channels={images.shape[1]}" if is_image else "",
            )
        image_size((images.shape[2], images.shape[3]), last_stage=self.plan.output.stage, name="images")
        if images.device != self.edge_weight.device:
            raise invalid("images", f"on the network's device, {self.edge_weight.device}", images.device)
        if images.dtype != self.edge_weight.dtype and not self._casts(images):
            raise invalid("images", f"of the network's dtype, {self.edge_weight.dtype}", images.dtype)
        self._check_statistics(images)

    def _check_statistics(self, images: Tensor) -> None:
        """Raise an error if a normalization would take statistics of fewer than two values."""
        batch, _, height, width = images.shape

        def n_values(stage: int) -> int:
            return batch * -(-height // (1 << stage)) * -(-width // (1 << stage))

        if n_values(self.plan.output.stage) > 1:  # no other stage has less
            return
        blocks = [(node.stage, self.nodes[node.key]) for node in self.plan.nodes]
        blocks += [(into.stage, self.reduces[into.key]) for node in self.plan.nodes for into in node.reduces]
        for stage, block in blocks:
            norms = (part for part in block.modules() if isinstance(part, ConvBlock | nn.BatchNorm2d))
            if n_values(stage) < 2 and any(norm.training for norm in norms):
                raise ArgumentError(
                    f"images must leave at least 2 values per channel in stage {stage} for batch normalization, got "
                    f"{abbreviated(images)}; use a larger batch or larger images, or module.eval()"
                )

    def _casts(self, images: Tensor) -> bool:
        return images.is_floating_point() and torch.is_autocast_enabled(images.device.type)


def _built(make: Callable[..., nn.Module], *sizes: int, name: str) -> nn.Module:
    """Return a block or head of the user, or a built-in one.

    Raises:
        ArgumentError: ``make`` fails, or returns something else.
    """
    found = called(make, getattr(make, "__qualname__", type(make).__name__), *sizes, name=name)
    if not isinstance(found, nn.Module):
        raise invalid(name, "a class or function that returns a torch.nn.Module", found)
    return found
