"""Small random networks: plans, which are drawn with a seed and are data; and the networks of plans.

A plan holds what was drawn as it is. Building it makes of each number what is possible where it stands, so
that any plan is a network: a kernel is no larger than its input, a folding divides its channels.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from finnmake.backends.open_rtl import graph
from tests.backends.open_rtl.networks import Network

#: Parts, with the DSP that FINN's RTL is made for: DSP48E1, DSP48E2, DSP58.
PARTS = ("xc7z020clg400-1", "xczu3eg-sbva484-1-e", "xcvc1902-vsva2197-2MP-e-S")

#: Operators whose input is an image, those of them that may come first, those for any input, and ends.
IMAGE = ("convolution", "depthwise", "max_pool", "average_pool", "residual", "concat", "upsample")
FIRST = ("convolution", "depthwise")
ANY = ("dense", "scale", "bias", "activation")
END = ("as it is", "top", "float")


@dataclass(frozen=True)
class Operator:
    """One operator, or a block of them; what its numbers mean depends on the kind."""

    kind: str
    bits: int
    activation: int
    signed: bool
    size: int
    kernel: int
    pad: int
    stride: int


@dataclass(frozen=True)
class Plan:
    """A network and how it is built.

    Attributes:
        shape: of the input without its batch: (features,) or (channels, height, width).
        bits: of the input.
        signed: whether the input is.
        operators: the network.
        end: one of `END`.
        seed: of the weights.
        folding: numbers that choose PE and SIMD, node by node; none: FINN folds for `target_fps`.
        part: the FPGA part.
        clock_ns: its clock.
        depth: words of each FIFO.
    """

    shape: tuple[int, ...]
    bits: int
    signed: bool
    operators: tuple[Operator, ...]
    end: str
    seed: int
    folding: tuple[int, ...]
    part: str
    clock_ns: float
    depth: int


def draw(seed: int) -> Plan:
    """The plan of a seed."""
    numbers = random.Random(seed)

    def bits() -> int:
        return numbers.randint(2, 8)

    def operator() -> Operator:
        return Operator(
            kind=numbers.choice((*IMAGE, *ANY)),
            bits=bits(),
            activation=bits(),
            signed=numbers.random() < 0.5,
            size=numbers.randint(1, 6),
            kernel=numbers.randint(1, 3),
            pad=numbers.randint(0, 1),
            stride=numbers.randint(1, 2),
        )

    images = tuple(numbers.randint(low, high) for low, high in ((1, 4), (3, 7), (3, 7)))
    return Plan(
        shape=images if numbers.random() < 0.8 else (numbers.randint(2, 16),),
        bits=bits(),
        signed=numbers.random() < 0.3,
        operators=tuple(operator() for _ in range(numbers.randint(1, 4))),
        end=numbers.choice(END),
        seed=seed,
        folding=tuple(numbers.choices(range(60), k=12)) if numbers.random() < 0.7 else (),
        part=numbers.choice(PARTS),
        clock_ns=numbers.choice((3.0, 5.0, 10.0)),
        depth=numbers.choice((2, 32, 32, 256)),
    )


@dataclass
class _At:
    """Where a network in the making has come to.

    Attributes:
        tensor: its name.
        shape: of it, without batch.
        most: the largest absolute value, in units.
        unit: what an integer of it stands for.
        quantised: whether it comes out of a quantiser.
    """

    tensor: str
    shape: tuple[int, ...]
    most: int
    unit: float = 1
    quantised: bool = True

    @property
    def image(self) -> bool:
        return len(self.shape) == 3


@dataclass
class _Builder:
    """Adds operators to a network."""

    plan: Plan
    network: Network = field(init=False)
    at: _At = field(init=False)

    def __post_init__(self) -> None:
        plan = self.plan
        self.network = Network((1, *plan.shape), plan.bits, plan.seed, signed=plan.signed)
        self.at = _At(self.network.input, plan.shape, 2 ** (plan.bits - plan.signed))
        if self.at.image:  # FINN would transpose before and behind a quantiser of an image
            self.network._nodes.clear()
            self.at.tensor = "x"

    def build(self) -> Any:
        """The model of the plan."""
        for operator in self.plan.operators:
            kind = operator.kind
            if self.at.tensor == "x" and kind not in FIRST:
                kind = "convolution"
            elif kind in IMAGE and not self.at.image:
                kind = "dense"
            getattr(self, f"_{kind}")(operator)
        return self._end(self.plan.end)

    def _quantised(self) -> None:
        """Weights are multiplied by what is quantised."""
        if not self.at.quantised:
            self._quantise(4, signed=True)

    def _quantise(self, bits: int, *, signed: bool, unit: float | None = None) -> None:
        """A quantised activation. Its scale is an odd number of units: so there are no ties."""
        at = self.at
        steps = max(1, at.most // (3 * 2 ** (bits - signed))) | 1
        scale = at.unit * steps if unit is None else unit
        if signed:
            tensor = self.network.quantise(at.tensor, bits, signed=True, scale=scale)
        else:
            tensor = self.network.activation(at.tensor, bits, scale)
        self.at = _At(tensor, at.shape, min(2 ** (bits - signed), at.most), scale)

    def _convolve(
        self, at: _At, operator: Operator, channels: int, kernel: int, depthwise: bool = False
    ) -> _At:
        rows, columns = at.shape[1:]
        kernel = min(kernel, rows, columns)
        pad = operator.pad if kernel > 1 else 0
        stride = operator.stride if min(rows, columns) > 2 * kernel else 1
        tensor = self.network.convolution(
            at.tensor, (at.shape[0], channels), kernel, operator.bits, pad, stride, depthwise=depthwise
        )
        size = tuple((each + 2 * pad - kernel) // stride + 1 for each in (rows, columns))
        terms = kernel * kernel * (1 if depthwise else at.shape[0])
        return _At(tensor, (channels, *size), at.most * terms * 2 ** (operator.bits - 1), at.unit, False)

    def _convolution(self, operator: Operator) -> None:
        self._quantised()
        self.at = self._convolve(self.at, operator, operator.size, operator.kernel)
        self._quantise(operator.activation, signed=operator.signed)

    def _depthwise(self, operator: Operator) -> None:
        self._quantised()
        self.at = self._convolve(self.at, operator, self.at.shape[0], operator.kernel, depthwise=True)
        self._quantise(operator.activation, signed=operator.signed)

    def _max_pool(self, operator: Operator) -> None:
        self._quantised()
        if min(self.at.shape[1:]) >= 2:
            self._halve("MaxPool")

    def _average_pool(self, operator: Operator) -> None:
        self._quantised()
        at = self.at
        tensor = self.network.apply("GlobalAveragePool", at.tensor)
        pixels = at.shape[1] * at.shape[2]
        self.at = _At(tensor, (at.shape[0], 1, 1), at.most * pixels, at.unit / pixels, False)
        self._quantise(operator.activation, signed=operator.signed)

    def _halve(self, name: str) -> None:
        tensor = self.network.apply(name, self.at.tensor, kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4)
        channels, rows, columns = self.at.shape
        self.at = _At(tensor, (channels, rows // 2, columns // 2), self.at.most, self.at.unit)

    def _branches(self, operator: Operator, channels: Sequence[int], *, signed: bool) -> list[_At]:
        """Two branches of convolutions, that keep the size, or one and what goes around it."""
        self._quantised()
        start, found = self.at, []
        for index, each in enumerate(channels):
            kept = Operator(**{**operator.__dict__, "stride": 1, "pad": 0})
            self.at = self._convolve(start, kept, each, 1)
            self._quantise(operator.activation, signed=signed, unit=found[0].unit if index else None)
            found.append(self.at)
        return found

    def _residual(self, operator: Operator) -> None:
        one, other = self._branches(operator, (operator.size, operator.size), signed=True)
        tensor = self.network.apply("Add", one.tensor, other.tensor)
        self.at = _At(tensor, one.shape, one.most + other.most, one.unit, False)
        self._quantise(operator.activation, signed=operator.signed)

    def _concat(self, operator: Operator) -> None:
        one, other = self._branches(operator, (operator.size, operator.kernel), signed=operator.signed)
        tensor = self.network.apply("Concat", one.tensor, other.tensor, axis=1)
        shape = (one.shape[0] + other.shape[0], *one.shape[1:])
        self.at = _At(tensor, shape, max(one.most, other.most), one.unit)

    def _upsample(self, operator: Operator) -> None:
        self._quantised()
        channels, rows, columns = self.at.shape
        region, scales = self.network._constant(()), self.network._constant((1, 1, 2, 2))
        tensor = self.network.apply("Resize", self.at.tensor, region, scales, mode="nearest")
        self.at = _At(tensor, (channels, 2 * rows, 2 * columns), self.at.most, self.at.unit)

    def _dense(self, operator: Operator) -> None:
        self._quantised()
        at = self._flat()
        width = (at.shape[0], operator.size + 1)
        tensor = self.network.dense(at.tensor, width, operator.bits)
        self.at = _At(tensor, width[1:], at.most * width[0] * 2 ** (operator.bits - 1), at.unit, False)
        self._quantise(operator.activation, signed=operator.signed)

    def _flat(self) -> _At:
        at = self.at
        if at.image:
            features = int(np.prod(at.shape))
            at = _At(self.network.apply("Flatten", at.tensor), (features,), at.most, at.unit)
        return at

    def _channelwise(self, name: str, values: Any) -> None:
        at = self.at
        shape = (1, at.shape[0], 1, 1) if at.image else at.shape
        constant = self.network._constant(np.asarray(values, np.float32).reshape(shape))
        tensor = self.network.apply(name, at.tensor, constant)
        self.at = _At(tensor, at.shape, 16 * at.most, at.unit, False)

    def _scale(self, operator: Operator) -> None:
        """Whole numbers, channel by channel."""
        self._channelwise("Mul", self.network._random.integers(1, 8, self.at.shape[0]))
        self._quantise(operator.activation, signed=operator.signed)

    def _bias(self, operator: Operator) -> None:
        """Whole units, channel by channel."""
        values = self.network._random.integers(-8, 8, self.at.shape[0])
        self._channelwise("Add", values * self.at.unit)
        self._quantise(operator.activation, signed=operator.signed)

    def _activation(self, operator: Operator) -> None:
        self._quantise(operator.activation, signed=operator.signed)

    def _end(self, end: str) -> Any:
        if end == "as it is":
            return self.network.model(self.at.tensor)
        self._quantised()
        at = self._flat()
        tensor = self.network.dense(at.tensor, (at.shape[0], 5), 3)
        if end == "float":
            tensor = self.network.apply("Mul", tensor, self.network._constant(0.3))
        model = self.network.model(tensor)
        if end != "top":
            return model
        insert = importlib.import_module("qonnx.transformation.insert_topk").InsertTopK
        return graph.with_shapes(model.transform(insert(k=1)))


def model(plan: Plan) -> Any:
    """The network of a plan, as QONNX."""
    return _Builder(plan).build()


def fold(model: Any, cfg: Any, numbers: Sequence[int] = ()) -> Any:
    """Takes the place of `step_apply_folding_config`: PE and SIMD of each layer, divisors of its channels.

    A pool and a depthwise convolution go as fast as the window before them.
    """
    layer_of = importlib.import_module("qonnx.custom_op.registry").getCustomOp
    chosen = _forever(numbers)
    for node in model.graph.node if numbers else ():
        layer = layer_of(node)
        types = layer.get_nodeattr_types()
        for name in ("SIMD", "PE"):
            if name in types:
                layer.set_nodeattr(name, _divisor(_channels(layer, name), next(chosen)))
        before = model.find_producer(node.input[0])
        if before is not None and before.op_type == "ConvolutionInputGenerator_rtl":
            window = layer_of(before)
            if window.get_nodeattr("depthwise"):
                window.set_nodeattr("SIMD", layer.get_nodeattr("PE"))
        if node.op_type.startswith("VVAU"):
            layer.set_nodeattr("SIMD", 1)
    return model


def _forever(numbers: Sequence[int]) -> Iterator[int]:
    while True:
        yield from numbers


def _channels(layer: Any, name: str) -> int:
    """What an attribute of folding has to divide."""
    types = layer.get_nodeattr_types()
    if "MW" in types:
        return int(layer.get_nodeattr("MW" if name == "SIMD" else "MH"))
    if "IFMChannels" in types:
        return int(layer.get_nodeattr("IFMChannels"))
    if "ChannelsPerStream" in types:
        return int(np.gcd.reduce(layer.get_nodeattr("ChannelsPerStream")))
    for each in ("Channels", "NumChannels", "Labels"):
        if each in types:
            return int(layer.get_nodeattr(each))
    return int(layer.get_normal_output_shape()[-1])


def _divisor(count: int, number: int) -> int:
    divisors = [each for each in range(1, count + 1) if count % each == 0]
    return divisors[number % len(divisors)]


def streamline(model: Any, cfg: Any) -> Any:
    """Takes the place of `step_streamline`: FINN's for branches, and what concatenation and resizing need."""
    reorder = importlib.import_module("finn.transformation.streamline.reorder")
    absorb = importlib.import_module("finn.transformation.streamline.absorb")
    every = importlib.import_module("finn.transformation.streamline").Streamline
    lower = importlib.import_module("qonnx.transformation.lower_convs_to_matmul").LowerConvsToMatMul
    layouts = importlib.import_module("qonnx.transformation.infer_data_layouts").InferDataLayouts
    types = importlib.import_module("qonnx.transformation.infer_datatypes").InferDataTypes
    general = importlib.import_module("qonnx.transformation.general")
    joins = (
        *(reorder.MoveLinearPastFork, reorder.MoveMulPastJoinAdd, reorder.MoveMulPastJoinConcat),
        *(reorder.MoveLinearPastEltwiseAdd, reorder.MoveTransposePastFork),
        *(reorder.MoveTransposePastJoinAdd, reorder.MoveTransposePastJoinConcat),
    )
    shapes = (
        *(reorder.MakeMaxPoolNHWC, reorder.MakeScaleResizeNHWC, absorb.AbsorbTransposeIntoMultiThreshold),
        *(reorder.MoveTransposePastEltwise, absorb.AbsorbTransposeIntoFlatten),
    )
    model = model.transform(absorb.AbsorbScalarBiasIntoMultiThreshold())
    for transformations in (
        (every,),
        joins,
        (every,),
        joins,
        (every, lower),
        *[(*shapes, *joins, layouts)] * 4,
    ):
        for each in transformations:
            model = model.transform(each()).transform(general.SortGraph())
    for each in (
        absorb.AbsorbConsecutiveTransposes,
        every,
        absorb.AbsorbScalarMulAddIntoTopK,
        layouts,
        types,
    ):
        model = model.transform(each())
    return model.transform(general.RemoveUnusedTensors())
