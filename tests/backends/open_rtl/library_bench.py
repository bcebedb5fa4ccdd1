"""A test bench for single modules of the library: FINN's nodes as cases, all of them in one simulator.

Each case has sources and sinks of its own. FINN's own operator in Python computes what is expected, and FINN
packs stimuli and results into words.
"""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from finnmake.backends.open_rtl import library, tools
from finnmake.engine.parts import Parts

HERE = Path(__file__).parent / "benches"

#: Verilator goes on after an assertion that failed, so that a run shows all of them.
_KEEP_ON = "+verilator+error+limit+1000000"


@dataclass
class Case:
    """A node with its stimuli.

    Attributes:
        name: of its instance.
        op_type: of the abstract operator; the module is that for its HLS variant.
        attributes: of the node.
        inputs: a tensor a stream, of shape (frames, *the node's shape with batch 1).
        constant: the index of a constant operand and its values.
        outputs: how many.
        floor: whether FINN's operator gives fractions that hardware cuts off.
        alteration: text in the module and what to put in its place: an altered module runs beside this one.
    """

    name: str
    op_type: str
    attributes: Mapping[str, Any]
    inputs: Sequence[np.ndarray]
    constant: tuple[int, np.ndarray] | None = None
    outputs: int = 1
    floor: bool = False
    alteration: tuple[str, str] | None = None
    expected: list[list[str]] = field(default_factory=list)

    @cached_property
    def model(self) -> Any:
        """A model of this node, as its HLS variant."""
        from onnx import TensorProto, helper
        from qonnx.core.modelwrapper import ModelWrapper

        names = [f"in{index}" for index in range(len(self.inputs) + (self.constant is not None))]
        results = [f"out{index}" for index in range(self.outputs)]
        node = helper.make_node(
            f"{self.op_type}_hls", names, results, domain="finn.custom_op.fpgadataflow.hls", **self.attributes
        )
        tensors = [
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in group]
            for group in (names, results)
        ]
        model = ModelWrapper(helper.make_model(helper.make_graph([node], "case", *tensors)))
        if self.constant is not None:
            model.set_initializer(names[self.constant[0]], self.constant[1].astype(np.float32))
        return model

    @cached_property
    def node(self) -> Any:
        """FINN's operator; an elementwise one with the output type that FINN derives."""
        from qonnx.custom_op.registry import getCustomOp

        found = getCustomOp(self.model.graph.node[0])
        if self.op_type.startswith("Elementwise"):
            found.set_nodeattr("out_dtype", found._derive_out_dtype(self.model).name)
        return found

    @cached_property
    def core(self) -> library.Core:
        return library.core(f"{self.op_type}_hls", self.node, self.model)

    @property
    def streams(self) -> list[int]:
        """The ports of its inputs that are no constants."""
        constant = None if self.constant is None else self.constant[0]
        return [index for index in range(len(self.node.onnx_node.input)) if index != constant]

    def prepare(self, folder: Path) -> None:
        """Write the words that the sources send and note those that the sinks shall see."""
        for name, text in self.core.data.items():
            (folder / name).write_text(text)
        self.expected = [[] for _ in range(self.outputs)]
        sent: list[list[str]] = [[] for _ in self.inputs]
        for frame in zip(*self.inputs, strict=True):
            for port, tensor, words in zip(self.streams, frame, sent, strict=True):
                words += self._pack(self._ordered(tensor, port), self.node.get_input_datatype(port), True)
            for index, result in enumerate(self._execute(frame)):
                folded = result.reshape(self.node.get_folded_output_shape(index))
                self.expected[index] += self._pack(folded, self.node.get_output_datatype(index), False)
        for port, words in zip(self.streams, sent, strict=True):
            (folder / f"{self.name}_in{port}.hex").write_text("".join(f"{word}\n" for word in words))

    def _execute(self, frame: Sequence[np.ndarray]) -> list[np.ndarray]:
        from onnx import helper
        from qonnx.custom_op.registry import getCustomOp

        node = self.node.onnx_node
        attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        abstract = helper.make_node(
            self.op_type, node.input, node.output, domain="finn.custom_op.fpgadataflow", **attributes
        )
        context = {f"in{port}": tensor for port, tensor in zip(self.streams, frame, strict=True)}
        if self.constant is not None:
            context[f"in{self.constant[0]}"] = self.constant[1]
        for index in range(self.outputs):
            context[f"out{index}"] = np.zeros(self.node.get_normal_output_shape(index), np.float32)
        getCustomOp(abstract).execute_node(context, self.model.graph)
        results = [context[f"out{index}"] for index in range(self.outputs)]
        return [np.floor(each) for each in results] if self.floor else results

    def _ordered(self, tensor: np.ndarray, port: int) -> np.ndarray:
        """Values in the order of the stream; a pool's window comes as [C/PE][window][PE]."""
        folded = tensor.reshape(self.node.get_folded_input_shape(port))
        if self.op_type != "Pool":
            return folded
        window = math.prod(self.attributes["KernelSize"])
        *outer, folds, lanes = folded.shape
        return folded.reshape(*outer, window, folds // window, lanes).swapaxes(-3, -2).reshape(folded.shape)

    def _pack(self, folded: np.ndarray, datatype: Any, noise: bool) -> list[str]:
        """FINN's packing of beats; with noise in the padding, which no module may look at."""
        from finn.util.data_packing import pack_innermost_dim_as_hex_string

        width = -(-folded.shape[-1] * datatype.bitwidth() // 8) * 8
        packed = pack_innermost_dim_as_hex_string(folded, datatype, width, reverse_inner=True, prefix="")
        words = [str(word) for word in np.asarray(packed).reshape(-1)]
        used = folded.shape[-1] * datatype.bitwidth()
        if noise and used < width:
            words = [f"{int(word, 16) | 1 << used:x}" for word in words]
        return [word.zfill(width // 4) for word in words]

    def instance(self, altered: bool) -> str:
        """Its instance in the bench, with sources and sinks; the sinks' `done` are {name}_done."""
        name = f"{self.name}_altered" if altered else self.name
        module = f"{self.core.module}_{name}" if altered else self.core.module
        pins = [".ap_clk(clk)", ".ap_rst_n(rst_n)"]
        lines = [f"  logic [{self.outputs - 1}:0] {name}_done;"]
        for side, ports in (("in", self.streams), ("out", range(self.outputs))):
            for port in ports:
                stream = f"{name}_{side}{port}"
                width, beats = self._size(side, port)
                lines.append(f"  logic [{width - 1}:0] {stream}_data; logic {stream}_valid, {stream}_ready;")
                pins += [
                    f".{side}{port}_V_T{pin.upper()}({stream}_{pin})" for pin in ("data", "valid", "ready")
                ]
                kind, stall = ("source", "source_stall") if side == "in" else ("sink", "sink_stall")
                more = "" if side == "in" else f", .done({name}_done[{port}])"
                file = f"{self.name}_in{port}.hex" if side == "in" else f"{stream}.txt"
                lines.append(
                    f'  stream_{kind} #(.WIDTH({width}), .BEATS({beats}), .FILE("{file}")) {stream} (.clk, '
                    f".rst_n, .stall({'altered_stall' if altered and side == 'out' else stall}), "
                    f".data({stream}_data), .valid({stream}_valid), .ready({stream}_ready){more});"
                )
        given = ", ".join(f".{key}({library.literal(value)})" for key, value in self.core.parameters.items())
        return "\n".join([*lines, f"  {module} #({given}) {name} ({', '.join(pins)});", ""])

    def _size(self, side: str, port: int) -> tuple[int, int]:
        """Bits of TDATA and beats of all frames."""
        node, frames = self.node, len(self.inputs[0])
        if side == "in":
            return node.get_instream_width_padded(port), frames * _beats(node.get_folded_input_shape(port))
        return node.get_outstream_width_padded(port), frames * _beats(node.get_folded_output_shape(port))


def _beats(folded: Sequence[int]) -> int:
    return math.prod(folded[:-1])


@dataclass
class Seen:
    """What a run has shown.

    Attributes:
        words: name of an instance -> words of each output.
        last: name of an instance -> cycle of its last word since reset.
        failed: names of instances in which an assertion failed.
    """

    words: dict[str, list[list[str]]]
    last: dict[str, int]
    failed: set[str]


@dataclass
class Bench:
    """The simulator of some cases.

    Attributes:
        cases: by name.
        program: Verilator's.
        folder: with the words that the sources send.
    """

    cases: dict[str, Case]
    program: Path
    folder: Path

    @classmethod
    def build(cls, cases: Sequence[Case], folder: Path, runtime: Parts) -> Bench:
        modules = {case.core.module: case.core.file for case in cases}
        sources = [HERE / "stream_source.sv", HERE / "stream_sink.sv"]
        sources += [library.RTL / file for file in modules.values()]
        instances = []
        for case in cases:
            case.prepare(folder)
            instances.append(case.instance(altered=False))
            if case.alteration is not None:
                sources.append(_alter(case, folder))
                instances.append(case.instance(altered=True))
        done = ", ".join(f"{case.name}_done" for case in cases)
        stalls = ("source_stall", "sink_stall", "altered_stall")
        (folder / "bench.sv").write_text(
            "module bench(input logic clk, input logic rst_n, output logic done);\n"
            + "".join(
                f'  int {name};\n  initial if (!$value$plusargs("{name}=%d", {name})) {name} = 0;\n'
                for name in stalls
            )
            + "".join(instances)
            + f"  assign done = &{{{done}}};\nendmodule\n"
        )
        program = tools.verilate(
            [*sources, folder / "bench.sv"],
            "bench",
            HERE / "streams.cpp",
            folder / "built",
            cwd=folder,
            optimise="-O0",
            runtime=runtime,
        )
        return cls({case.name: case for case in cases}, program, folder)

    def run(self, **stalls: int) -> Seen:
        """Simulate with these stalls, in percent: source_stall, sink_stall, altered_stall.

        Raises:
            subprocess.CalledProcessError: the sinks did not get all in time.
        """
        settings = [f"+{name}={percent}" for name, percent in stalls.items()]
        done = subprocess.run(
            [self.program, "+verilator+seed+7", _KEEP_ON, *settings],
            cwd=self.folder,
            check=True,
            capture_output=True,
            text=True,
        )
        seen = Seen(
            {}, {}, set(re.findall(r"Assertion failed in \S*bench\.(\w+)", done.stdout + done.stderr))
        )
        for case in self.cases.values():
            for name in (case.name, f"{case.name}_altered")[: 1 + (case.alteration is not None)]:
                files = [self.folder / f"{name}_out{index}.txt" for index in range(case.outputs)]
                lines = [[line.split() for line in file.read_text().splitlines()] for file in files]
                seen.words[name] = [[word for _, word in each] for each in lines]
                seen.last[name] = max((int(each[-1][0]) for each in lines if each), default=0)
        return seen


def _alter(case: Case, folder: Path) -> Path:
    """A copy of the case's module with its alteration, under a name of its own."""
    assert case.alteration is not None
    found, instead = case.alteration
    text = (library.RTL / case.core.file).read_text()
    assert text.count(found) == 1, (case.name, found)
    module = case.core.module
    text = text.replace(found, instead).replace(f"module {module} ", f"module {module}_{case.name}_altered ")
    file = folder / f"{case.name}_altered.sv"
    file.write_text(text)
    return file
