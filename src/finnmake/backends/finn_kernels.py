"""The kernels that a blueprint chooses: what FINN makes of a layer, and attributes of all nodes of a kernel.

FINN chooses between HLS and RTL in `step_specialize_layers`, by the node attribute `preferred_impl_style`,
and takes the other one, with no more than a warning, where it cannot do what is preferred.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finnmake.backends.finn_refusals import refusals
from finnmake.blueprint import tables
from finnmake.errors import StepError

if TYPE_CHECKING:
    from finn.builder.build_dataflow_config import DataflowBuildConfig
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper

#: The attribute by which FINN chooses.
_STYLE = "preferred_impl_style"

#: FINN's layers before they are specialised.
_LAYERS = "finn.custom_op.fpgadataflow"

_CORRECT = "Correct `kernels` in the blueprint."

#: The transformation that FINN names nodes with before it applies a file.
_NAMING = "finn.transformation.qonnx.give_unique_node_names_recursive"


@dataclass(frozen=True)
class _Kernel:
    """What the blueprint says of one kernel: backends in order of priority (none: any), node attributes."""

    name: str
    backends: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class _Layer:
    """A node before specialisation, and what of its kernel's choices holds for it.

    Attributes:
        node: the node.
        backends: its kernel's; none where the user's file prefers one for this node.
        attributes: its kernel's, less those that the user's file sets for this node.
    """

    node: NodeProto
    backends: tuple[str, ...]
    attributes: Mapping[str, Any]


def specialize(
    name: str,
    model: ModelWrapper,
    config: DataflowBuildConfig,
    kernels: Mapping[str, Mapping[str, Any]],
    step: Callable[[ModelWrapper], ModelWrapper],
) -> ModelWrapper:
    """Run FINN's `step_specialize_layers` so that the layers come out as chosen.

    Entries of the user's `specialize_layers_config_file` win, node by node and attribute by attribute.

    Args:
        name: the step as the blueprint writes it.
        model: the model before the step; stays as it is.
        config: FINN's configuration.
        kernels: kernel -> `backends` (list, in order of priority) and `attributes` (name -> value).
        step: FINN's step.

    Raises:
        StepError: a kernel, backend or attribute that FINN does not have, a value that it refuses, or a layer
            that it made another backend of.
    """
    chosen = [_kernel(name, kernel, choice) for kernel, choice in kernels.items()]
    model = model.transform(importlib.import_module(_NAMING).GiveUniqueNodeNamesRecursive())
    file, config.specialize_layers_config_file = config.specialize_layers_config_file, None
    own: Mapping[str, frozenset[str]] = {}
    if file is not None:
        apply_config = importlib.import_module("finn.transformation.general").ApplyConfig
        own = _own_attributes(model, apply_config(file), chosen)
        model = model.transform(apply_config(file))
    layers = list(_layers(model, chosen, own))
    for layer in layers:
        if layer.backends:
            _operator(layer.node).set_nodeattr(_STYLE, layer.backends[0].rpartition("_")[2])
    made = step(model)
    config.specialize_layers_config_file = file
    nodes = {node.output[0]: node for node in made.graph.node}
    pairs = [(layer, nodes[layer.node.output[0]]) for layer in layers]
    _check_backends(name, pairs, model, config)
    _set_attributes(name, pairs)
    return made


def _kernel(step: str, name: str, choice: Mapping[str, Any]) -> _Kernel:
    kernel = _Kernel(name, tuple(choice.get("backends", ())), choice.get("attributes", {}))
    problems = list(_problems(kernel))
    if problems:
        raise StepError(step, "; ".join(problems), category="config", cure=_CORRECT)
    return kernel


def _problems(kernel: _Kernel) -> Iterator[str]:
    known = tables.kernel_backends(kernel.name)
    if not known:
        yield f"FINN has no kernel {kernel.name!r} that it specialises"
        return
    for backend in kernel.backends:
        if backend not in known:
            yield f"the kernel {kernel.name} has no backend {backend!r} (it has {', '.join(known)})"
    for name in kernel.attributes:
        attribute = tables.kernel_attribute(kernel.name, name)
        if name in tables.FOLDING_ATTRIBUTES:
            yield f"{name} of {kernel.name} is the folding's (target_fps, folding_config_file)"
        elif attribute is None:
            near = difflib.get_close_matches(name, tables.kernel_attributes(kernel.name), 3)
            hint = f" (the nearest: {', '.join(near)})" if near else ""
            yield f"the kernel {kernel.name} has no attribute {name!r} to set{hint}"
        elif not set(kernel.backends or attribute.backends) & set(attribute.backends):
            yield f"{name} is an attribute of {', '.join(attribute.backends)} alone"


def _own_attributes(
    model: ModelWrapper, apply_config: Any, kernels: Sequence[_Kernel]
) -> dict[str, frozenset[str]]:
    """Node -> those of the attributes that the kernels set which the user's file sets itself.

    The file is applied to a copy without these attributes: what is there afterwards comes from the file.
    """
    concerned = {_STYLE, *(name for kernel in kernels for name in kernel.attributes)}
    bare = model.transform(importlib.import_module(_NAMING).GiveUniqueNodeNamesRecursive())
    for node in bare.graph.node:
        kept = [attribute for attribute in node.attribute if attribute.name not in concerned]
        del node.attribute[:]
        node.attribute.extend(kept)
    return {
        node.name: frozenset(each.name for each in node.attribute if each.name in concerned)
        for node in bare.transform(apply_config).graph.node
    }


def _layers(
    model: ModelWrapper, kernels: Sequence[_Kernel], own: Mapping[str, frozenset[str]]
) -> Iterator[_Layer]:
    by_name = {kernel.name: kernel for kernel in kernels}
    for node in model.graph.node:
        if node.domain == _LAYERS and node.op_type in by_name:
            kernel = by_name[node.op_type]
            itself = own.get(node.name, frozenset())
            # An empty preference is none: FINN's template of the file has one for every node.
            prefers = _STYLE in itself and _operator(node).get_nodeattr(_STYLE)
            rest = {name: value for name, value in kernel.attributes.items() if name not in itself}
            yield _Layer(node, () if prefers else kernel.backends, rest)


def _operator(node: NodeProto) -> Any:
    return importlib.import_module("qonnx.custom_op.registry").getCustomOp(node)


def _check_backends(
    step: str, pairs: Sequence[tuple[_Layer, NodeProto]], before: ModelWrapper, config: DataflowBuildConfig
) -> None:
    """Raise StepError where FINN made of a layer what is not in its kernel's list: for all such layers."""
    wrong: dict[tuple[str, str, str], list[str]] = {}
    cures: dict[str, None] = {}
    for layer, node in pairs:
        if not layer.backends or node.op_type in layer.backends:
            continue
        found = refusals(layer.node, before, config._resolve_fpga_part())
        reason = " and ".join(refusal.reason for refusal in found) or "FINN does not say why"
        wrong.setdefault((" or ".join(layer.backends), node.op_type, reason), []).append(layer.node.name)
        cures.update(dict.fromkeys(refusal.cure for refusal in found if refusal.cure))
        cures[f"list {node.op_type} among the backends of {layer.node.op_type}"] = None
    if not wrong:
        return
    message = "; ".join(
        f"{', '.join(names)}: {wanted} was chosen, FINN made {got} ({reason})"
        for (wanted, got, reason), names in wrong.items()
    )
    cure = ", or ".join(cures)
    raise StepError(step, message, category="kernel", cure=f"{cure[0].upper()}{cure[1:]}.")


def _set_attributes(step: str, pairs: Sequence[tuple[_Layer, NodeProto]]) -> None:
    """Set the kernels' attributes. Raises StepError with all that FINN refuses.

    An attribute that only another backend of the kernel has is meant for that one's nodes.
    """
    problems: dict[str, None] = {}
    for layer, node in pairs:
        operator = _operator(node)
        known = operator.get_nodeattr_types()
        for name in sorted(layer.attributes.keys() & known.keys()):
            value = layer.attributes[name]
            try:
                operator.set_nodeattr(name, _as_typed(value, known[name][0]))
            except (TypeError, ValueError):
                problems[_refused(node.op_type, name, value)] = None
    if problems:
        raise StepError(step, "; ".join(problems), category="config", cure=_CORRECT)


def _as_typed(value: Any, kind: str) -> Any:
    """A JSON value as QONNX wants it, where only its type's name differs."""
    if kind == "i" and isinstance(value, bool):
        return int(value)
    if kind == "f" and isinstance(value, int):
        return float(value)
    return value


def _refused(backend: str, name: str, value: Any) -> str:
    attribute = tables.kernel_attribute(backend.rpartition("_")[0], name)
    if attribute is None or not attribute.choices:
        wanted = "" if attribute is None else f" ({attribute.type})"
        return f"{name}{wanted} of {backend} cannot be {value!r}"
    return f"{name} of {backend} is one of {', '.join(map(str, attribute.choices))}, not {value!r}"
