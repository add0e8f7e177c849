"""Bring an offline graph into the one form the rules read: functions inlined, opset 17 or 18, no stale shapes."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper, version_converter
from onnx.inliner import inline_local_functions

from export.streaming.probe import open_session
from stream.errors import ExportError, NotStreamable

OPSETS = (17, 21)
_REDUCTIONS = frozenset(
    (
        *("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp"),
        *("ReduceProd", "ReduceSumSquare"),
    )
)


def normalise(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """A copy with one float32 input, standard operators only, at ``opset``.

    Raises:
        ExportError: ``opset`` is outside 17 to 21, or the graph cannot be converted to it.
        NotStreamable: several inputs, or operators of another domain.
    """
    model = at_opset(model, opset)
    if len(model.graph.input) != 1:
        names = ", ".join(i.name for i in model.graph.input)
        raise NotStreamable(f"the graph has inputs {names or 'none'}: it must take the features alone")
    return model


def at_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """A copy with any inputs, standard operators only, at ``opset``.

    Raises:
        ExportError, NotStreamable: see ``normalise``.
    """
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise ExportError(f"opset {opset}: must be {OPSETS[0]} to {OPSETS[1]}")
    model = inline_local_functions(model)
    domains = {entry.domain: entry.version for entry in model.opset_import}
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx"):
            raise NotStreamable(
                f"operator '{node.name}' ({node.domain}::{node.op_type}): only standard ONNX operators can be "
                "streamed; export the network with standard layers"
            )
        for attribute in node.attribute:
            if node.op_type != "Scan" and attribute.type in (
                onnx.AttributeProto.GRAPH,
                onnx.AttributeProto.GRAPHS,
            ):
                raise NotStreamable(
                    f"operator '{node.name}' ({node.op_type}): loops and branches in the graph cannot be carried as "
                    "state; write a loop over frames with nn.RNN, nn.GRU or nn.LSTM"
                )
    _write_products(model)
    version = domains.get("", domains.get("ai.onnx", 1))
    _forget_shapes(model)
    _drop_initializer_inputs(model)
    if version > opset == 17:
        if version > 18:
            model = _convert(model, 18)
        _lower_to_17(model)
    elif version != opset:
        model = _convert(model, opset)
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", opset))
    model.ir_version = min(model.ir_version, 10)
    return model


def _convert(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    try:
        return version_converter.convert_version(model, opset)
    except Exception as error:  # the converter raises bare RuntimeError and its own C++ types
        renamed = _as_it_is(model, opset)
        if renamed is not None:
            return renamed
        raise ExportError(f"the graph cannot be converted to opset {opset}: {error}") from error


def _as_it_is(model: onnx.ModelProto, opset: int) -> onnx.ModelProto | None:
    """The graph under an older opset, if ONNX Runtime takes it so; None if not.

    Most operators only learned new types since; the converter knows no way back even where none of these is used.
    """
    renamed = onnx.ModelProto()
    renamed.CopyFrom(model)
    del renamed.opset_import[:]
    renamed.opset_import.append(helper.make_opsetid("", opset))
    renamed.ir_version = min(renamed.ir_version, 10)
    try:
        open_session(renamed)
    except Exception:  # ORT's own exception classes derive from Exception only
        return None
    return renamed


def _forget_shapes(model: onnx.ModelProto) -> None:
    """Exporters write the example's length into shapes; nothing here reads them, ORT would complain."""
    del model.graph.value_info[:]
    for value in [*model.graph.input, *model.graph.output]:
        tensor = value.type.tensor_type
        element = tensor.elem_type
        rank = len(tensor.shape.dim)
        tensor.Clear()
        tensor.elem_type = element
        for _ in range(rank):
            tensor.shape.dim.add()


def _drop_initializer_inputs(model: onnx.ModelProto) -> None:
    stored = {t.name for t in model.graph.initializer}
    kept = [i for i in model.graph.input if i.name not in stored]
    del model.graph.input[:]
    model.graph.input.extend(kept)


def _lower_to_17(model: onnx.ModelProto) -> None:
    """Undo what opset 18 moved or added: axes of reductions and of Pad from input to attribute, options, Mish."""
    _expand_mish(model)
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            value = next((a.t for a in node.attribute if a.name == "value"), None)
            if value is not None:
                constants[node.output[0]] = numpy_helper.to_array(value)
    for node in model.graph.node:
        if node.op_type in _REDUCTIONS and len(node.input) > 1:
            axes = constants.get(node.input[1])
            if axes is None and node.input[1]:
                raise NotStreamable(
                    f"operator '{node.name}' ({node.op_type}): its axes are computed, not constant"
                )
            del node.input[1:]
            if axes is not None:
                node.attribute.append(helper.make_attribute("axes", np.atleast_1d(axes).tolist()))
            kept = [a for a in node.attribute if a.name != "noop_with_empty_axes"]
            del node.attribute[:]
            node.attribute.extend(kept)
        elif node.op_type == "Split":
            kept = [a for a in node.attribute if a.name != "num_outputs"]
            del node.attribute[:]
            node.attribute.extend(kept)
        elif node.op_type == "Resize":
            _lower_resize(node)
        elif node.op_type == "Pad" and len(node.input) > 3 and node.input[3]:
            raise NotStreamable(f"operator '{node.name}' (Pad): axes as an input need opset 18")


def _lower_resize(node: onnx.NodeProto) -> None:
    """Drop the options that opset 18 added, where they are not used."""
    options = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if options.get("antialias", 0) or options.get("keep_aspect_ratio_policy", b"stretch") != b"stretch":
        raise NotStreamable(
            f"operator '{node.name}' (Resize): antialias needs opset 18; export with opset=18"
        )
    if "axes" in options:
        raise NotStreamable(f"operator '{node.name}' (Resize): axes need opset 18; export with opset=18")
    kept = [a for a in node.attribute if a.name not in ("antialias", "keep_aspect_ratio_policy")]
    del node.attribute[:]
    node.attribute.extend(kept)


def _expand_mish(model: onnx.ModelProto) -> None:
    """Mish(x) = x tanh(softplus(x)), an operator of its own since opset 18."""
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        if node.op_type != "Mish":
            model.graph.node.append(node)
            continue
        x, y = node.input[0], node.output[0]
        for op, inputs, output in (
            ("Softplus", [x], f"{y}.softplus"),
            ("Tanh", [f"{y}.softplus"], f"{y}.tanh"),
            ("Mul", [x, f"{y}.tanh"], y),
        ):
            part = helper.make_node(op, inputs, [output], f"{node.name}.{op}" if op != "Mul" else node.name)
            part.metadata_props.extend(node.metadata_props)
            model.graph.node.append(part)


def _write_products(model: onnx.ModelProto) -> None:
    """Einsums that are matrix products of two tensors, however their axes lie, as Transpose and MatMul."""
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        model.graph.node.extend(_product(node) or [node])


def _product(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    if node.op_type != "Einsum" or len(node.input) != 2:
        return []
    equation = helper.get_attribute_value(node.attribute[0]).decode().replace(" ", "")
    terms, _, result = equation.partition("->")
    left, right = terms.split(",")
    common = [label for label in result if label in left and label in right]
    summed = [label for label in left if label in right and label not in result]
    rows, columns = ([a for a in term if a not in other] for term, other in ((left, right), (right, left)))
    single = all(len(set(term)) == len(term) and "." not in term for term in (left, right, result))
    if not (single and result and len(summed) == len(rows) == len(columns) == 1):
        return []
    if {*rows, *columns, *common} != set(result):
        return []
    y = node.output[0]
    product = [*common, *rows, *columns]
    steps = [
        ("Transpose", [node.input[0]], f"{y}.left", [left.index(a) for a in (*common, *rows, *summed)]),
        ("Transpose", [node.input[1]], f"{y}.right", [right.index(a) for a in (*common, *summed, *columns)]),
        ("MatMul", [f"{y}.left", f"{y}.right"], f"{y}.product", None),
        ("Transpose", [f"{y}.product"], y, [product.index(a) for a in result]),
    ]
    made = []
    for op, inputs, output, perm in steps:
        part = helper.make_node(op, inputs, [output], node.name if op == "MatMul" else f"{output}:moved")
        if perm is not None:
            part.attribute.append(helper.make_attribute("perm", perm))
        part.metadata_props.extend(node.metadata_props)
        made.append(part)
    return made
