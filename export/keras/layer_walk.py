"""Walk a network's layers in the order of their calls and write each into the graph."""

from __future__ import annotations

from export.keras.graph_builder import Builder, Tensor
from export.keras.layer_config import NETWORKS, Call, Layer, Network, Reference, read_network
from export.keras.layers import JOIN, KEEP_MASK, LAYERS, USE_MASK
from export.keras.weights import LayerWeights, Weights
from stream.errors import ExportError

_FUNCTIONS = (
    "Add",
    "Maximum",
    "Minimum",
    "Multiply",
    "Subtract",
)  # of keras.ops, which mean what the layers do
_UNUSUAL = {
    "Bidirectional": (
        "reads the sound from its end too",
        "use the layer in it alone, perhaps with more units",
    ),
    "Attention": ("compares frames with frames", "use a recurrent layer or a causal convolution"),
    "AdditiveAttention": ("compares frames with frames", "use a recurrent layer or a causal convolution"),
    "MultiHeadAttention": ("compares frames with frames", "use a recurrent layer or a causal convolution"),
    "GroupQueryAttention": ("compares frames with frames", "use a recurrent layer or a causal convolution"),
    "RepeatVector": ("repeats a summary of the whole sequence for every frame", "use the frames themselves"),
    "GroupNormalization": ("normalises over time", "use LayerNormalization over the features"),
    "UpSampling1D": ("makes more rows than frames", "remove the upsampling"),
    "UpSampling2D": ("makes more rows than frames", "remove the upsampling"),
    "Conv1DTranspose": ("makes more rows than frames", "remove the upsampling"),
    "Conv2DTranspose": ("makes more rows than frames", "remove the upsampling"),
    "Embedding": ("looks up a table by whole numbers, which features of sound are not", "use a Dense layer"),
    "ConvLSTM1D": (
        "is a recurrence of convolutions, for which ONNX has no operator",
        "use a convolution, then an LSTM",
    ),
    "ConvLSTM2D": (
        "is a recurrence of convolutions, for which ONNX has no operator",
        "use a convolution, then an LSTM",
    ),
    "CuDNNGRU": ("runs on a GPU only", "load its weights into a GRU layer with reset_after=True"),
    "CuDNNLSTM": ("runs on a GPU only", "load its weights into an LSTM layer"),
    "Dot": ("multiplies tensors with each other", "use Multiply and a Dense layer"),
}


def write_network(
    b: Builder, network: Network, inputs: list[Tensor], weights: Weights, depth: int = 0
) -> list[Tensor]:
    """Write a network's layers; returns its outputs.

    Raises:
        NotStreamable: a layer has no rule, or needs what a stream does not have; named, with what to use instead.
        ExportError: the configuration or the weights are not as Keras writes them.
    """
    names = [layer.name for layer in network.layers]
    found = weights.scope(
        [name.rsplit("/", 1)[-1] if depth else name for name in names],
        ["" if layer.is_function else layer.kind for layer in network.layers],
    )
    pairs = list(zip(network.layers, found, strict=True))
    if network.sequential:
        for layer, own in pairs:
            inputs = inputs if layer.kind == "InputLayer" else _write(b, layer, inputs, own, depth)[:1]
        return inputs
    return _functional(b, network, inputs, pairs, depth)


def _functional(
    b: Builder, network: Network, inputs: list[Tensor], pairs: list[tuple[Layer, LayerWeights]], depth: int
) -> list[Tensor]:
    if len(network.inputs) != len(inputs):
        names = ", ".join(name for name, *_ in network.inputs)
        raise ExportError(
            f"network '{network.name}' has inputs {names or 'none'}: it must take the features alone"
        )
    known: dict[Reference, Tensor] = dict(zip(network.inputs, inputs, strict=True))
    waiting = _needed(network, pairs)
    while waiting:
        later = []
        for layer, own, number in waiting:
            call = layer.calls[number]
            if any(reference not in known for reference in call.inputs):
                later.append((layer, own, number))
                continue
            given = [known[reference] for reference in call.inputs]
            _check_call(layer, call, given, network)
            outputs = _write(b, layer, given, own, depth)
            known.update({(layer.name, number, i): each for i, each in enumerate(outputs)})
        if len(later) == len(waiting):
            raise later[0][0].refused("it is given a tensor that no layer makes", "save the network again")
        waiting = later
    missing = [reference for reference in network.outputs if reference not in known]
    if missing or not network.outputs:
        raise ExportError(f"network '{network.name}': no layer makes its output; save it again")
    return [known[reference] for reference in network.outputs]


def _needed(
    network: Network, pairs: list[tuple[Layer, LayerWeights]]
) -> list[tuple[Layer, LayerWeights, int]]:
    """Calls that the outputs depend on. Keras 3 stores how masks are computed too, which Masking does here."""
    calls = {(layer.name, i): call for layer, _ in pairs for i, call in enumerate(layer.calls)}
    wanted: set[tuple[str, int]] = set()
    left = list(network.outputs)
    while left:
        name, number, _ = left.pop()
        if (name, number) in calls and (name, number) not in wanted:
            wanted.add((name, number))
            left.extend(calls[name, number].inputs)
    return [
        (layer, own, i)
        for layer, own in pairs
        for i in range(len(layer.calls))
        if (layer.name, i) in wanted and (layer.name, i, 0) not in network.inputs
    ]


def _check_call(layer: Layer, call: Call, given: list[Tensor], network: Network) -> None:
    """Refuse arguments that change what a layer computes, unless they are known by other ways."""
    if call.others:
        raise layer.refused(f"it is given {' and '.join(call.others)}", "let it take one tensor alone")
    kinds = {each.name: each.kind for each in network.layers if each.is_function}
    if any(kinds.get(name) != "Any" for name, *_ in call.mask) or (
        call.mask and not any(x.mask for x in given)
    ):
        raise layer.refused("it is given a mask of your own", "use a Masking layer, or leave the mask out")


def _write(b: Builder, layer: Layer, inputs: list[Tensor], own: LayerWeights, depth: int) -> list[Tensor]:
    _check_type(b, layer)
    if layer.kind in NETWORKS:
        inner = read_network(layer.config, layer.version, f"{layer.name}/")
        return write_network(b, inner, inputs, own.network(), depth + 1)
    if layer.kind == "TimeDistributed":
        return [_each_frame(b, layer, inputs, own, depth)]
    if layer.kind in _UNUSUAL:
        reason, way = _UNUSUAL[layer.kind]
        raise layer.refused(reason, way)
    write = LAYERS.get(layer.kind)
    if write is None or (layer.is_function and layer.kind not in _FUNCTIONS):
        what = "this function" if layer.is_function else "it"
        raise layer.refused(
            f"there is no rule for {what}", "use standard layers, or export the network to ONNX and give that"
        )
    mask = next((x.mask for x in inputs if x.mask), "")
    if mask and layer.kind not in KEEP_MASK | USE_MASK:
        raise layer.refused(
            "it follows a Masking layer and does not know of it",
            "leave Masking out: it has no weights, and a stream has no padding to mask",
        )
    if len(inputs) != 1 and layer.kind not in JOIN:
        raise layer.refused(f"it is given {len(inputs)} tensors", "give it one")
    b.enter(layer.name, layer.kind)
    outputs = write(b, layer, inputs, own.arrays())
    if mask and layer.kind in KEEP_MASK:
        outputs = [each.named(each.name, mask=mask) for each in outputs]
    return outputs


def _each_frame(b: Builder, layer: Layer, inputs: list[Tensor], own: LayerWeights, depth: int) -> Tensor:
    """TimeDistributed: the layer in it on every frame, with the frames as streams."""
    (x,) = inputs
    entry = layer.config.get("layer")
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict) or x.rank < 3:
        raise layer.refused(
            f"it has no layer in it, or its input {x.shape} no frames", "save the network again"
        )
    inner = read_network(
        {"class_name": "Sequential", "config": {"layers": [entry]}}, layer.version, f"{layer.name}/"
    ).layers[0]
    rest = x.axes[2:]
    if any(not isinstance(axis, int) for axis in rest):
        raise layer.refused(f"its frames have no fixed size (input {x.shape})", "put time on the second axis")
    b.enter(layer.name, layer.kind)
    sizes = [axis for axis in rest if isinstance(axis, int)]
    lead = b.one("Slice", [b.one("Shape", [x.name]), b.ints(0), b.ints(2)])
    folded = b.one("Reshape", [x.name, b.ints(-1, *sizes)])
    done = _write(b, inner, [Tensor(folded, (None, *sizes))], own, depth)[0]
    b.enter(layer.name, layer.kind)
    after = [axis for axis in done.axes[1:] if isinstance(axis, int)]
    shape = b.one("Concat", [lead, b.ints(*after)], axis=0)
    name = b.one("Reshape", [done.name, shape])
    return Tensor(name, (*x.axes[:2], *after), x.mask)


def _check_type(b: Builder, layer: Layer) -> None:
    """Say so where Keras computes in another precision than ONNX will."""
    policy = layer.config.get("dtype")
    name = policy
    if isinstance(policy, dict):
        inner = policy.get("config")
        name = inner.get("name") if isinstance(inner, dict) else None
    if isinstance(name, str) and ("int8" in name or "int4" in name or "float8" in name):
        raise layer.refused(f"it is quantised ({name[:30]})", "export the network before quantize()")
    if isinstance(name, str) and "float16" in name:
        note = "the network was made for 16-bit numbers and is computed in 32 bits: digits beyond the third may differ"
        if note not in b.notes:
            b.notes.append(note)
