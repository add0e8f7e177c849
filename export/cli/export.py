"""``stream-classify export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from export.cli.export_progress import ExportProgress
from export.cli.user_module import user_module
from export.lazy import require
from stream.cli.help import TaskCommand, section
from stream.errors import CardInvalid, CheckpointError, ModelError, UsageError
from stream.features.spec import MfccSpec
from stream.foreign import model_kind
from stream.inference.card import ModelCard
from stream.inference.onnx_file import read_model_file
from stream.printable import printable

if TYPE_CHECKING:
    from export.conversion.onnx_export import Network


@click.command(
    cls=TaskCommand,
    epilog="""\b
Examples:
  stream-classify export model.pt -o model.onnx
  stream-classify export network.keras -o model.onnx --labels yes,no
  stream-classify export offline.onnx -o model.onnx --labels yes,no --activation softmax
  stream-classify export offline.onnx -o model.onnx --card card.json --lookahead delay
  stream-classify export weights.safetensors --module net.py:Net -o model.onnx --labels yes,no
  stream-classify export model.pt -o small.onnx --quantize int8 --data recordings/
  stream-classify export model.pt -o station.onnx --streams 64

A network of your own, in Python:
  from export import to_onnx
  to_onnx(module, "model.onnx", ModelCard(name=..., labels=..., activation=..., features=MfccSpec()))
""",
)
@click.argument("network", type=click.Path(path_type=Path))
@section(
    "Output",
    click.option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        required=True,
        help="File to write.",
    ),
    click.option(
        "--opset", type=click.IntRange(17, 21), default=17, show_default=True, help="ONNX operator set."
    ),
    click.option(
        "--streams",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        metavar="N",
        help="Streams that one session will mostly run at once: what is written is quick for so many.",
    ),
    click.option("--force", is_flag=True, help="Write a quantised model even if it loses more than a point."),
)
@section(
    "Card",
    click.option(
        "--card",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="JSON",
        help="Model card of a Keras network or offline ONNX, or to replace a checkpoint's.",
    ),
    click.option("--labels", metavar="A,B,…", help="Instead of --card: class names in output order."),
    click.option(
        "--activation",
        type=click.Choice(["softmax", "sigmoid"]),
        show_default="softmax, or that of a Keras network's last layer",
        help="With --labels.",
    ),
)
@section(
    "Network",
    click.option(
        "--module",
        metavar="FILE:NAME",
        help="Python code that makes the network of a safetensors file or state dict; it is run.",
    ),
    click.option("--activation-inside", is_flag=True, help="The network returns probabilities already."),
    click.option(
        "--lookahead",
        type=click.Choice(["refuse", "delay"]),
        default="refuse",
        show_default=True,
        help="Refuse layers that need future frames, or delay the scores.",
    ),
    click.option("--batch-axis", type=int, default=0, show_default=True, help="Of an offline ONNX's input."),
    click.option(
        "--time-axis", type=int, default=1, show_default=True, help="Of a Keras or ONNX network's input."
    ),
    click.option(
        "--output-index",
        type=int,
        default=0,
        show_default=True,
        help="Which output, if the network has several.",
    ),
)
@section(
    "Quantisation",
    click.option(
        "--quantize", type=click.Choice(["int8"]), help="Smaller weights; not bit-exact. Needs --data."
    ),
    click.option(
        "--data",
        type=click.Path(path_type=Path),
        help="Labelled recordings to measure the quantised model on.",
    ),
)
def export(
    network: Path,
    output: Path,
    card: Path | None,
    labels: str | None,
    activation: str | None,
    module: str | None,
    activation_inside: bool,
    lookahead: str,
    batch_axis: int,
    time_axis: int,
    output_index: int,
    opset: int,
    streams: int,
    quantize: str | None,
    data: Path | None,
    force: bool,
) -> None:
    """Turn NETWORK into one streaming ONNX file.

    NETWORK is a checkpoint of stream-classify train, a network that Keras saved (.keras, .h5), any offline ONNX
    graph that maps a whole sequence of features to scores, or with --module the weights of a torch network. Left
    context becomes state that is carried from step to step; a layer that needs future frames is refused by name. The
    result is compared with the network over a minute of features in many chunkings, and over minutes of silence, full
    scale and the like; it is written only if all scores agree within 1e-5.
    """
    # All that can be told without torch, which takes seconds to import.
    keras = network.is_file() and _is_keras(network)
    given = _card(network, card, labels, activation or "softmax")
    _check_network(network, given, keras)
    if module is not None and given is None:
        raise UsageError(f"{network}: weights have no labels; add --labels A,B,… or --card card.json")
    if quantize:
        _check_measuring(data)
    options: dict[str, Any] = {
        "lookahead": lookahead,
        "time_axis": time_axis,
        "output_index": output_index,
        "activation_inside": activation_inside,
        "opset": opset,
        "streams": streams,
    }
    with ExportProgress() as options["progress"]:
        if keras:
            assert given is not None  # checked above
            done = _from_keras(network, output, given, labels is not None and activation is None, options)
        else:
            from export import to_onnx

            source, own = (user_module(module), None) if module is not None else _network(network)
            options["weights"] = network if module is not None else None
            chosen = given or own
            assert chosen is not None  # a checkpoint has a card
            done = to_onnx(source, output, chosen, batch_axis=batch_axis, **options)
    made = done.provenance["export"]
    exact = "any chunking gives the same bits" if done.exact else "chunking changes last digits"
    name = printable(str(output))
    click.echo(f"wrote {name}: {len(done.states)} states, stride {done.stride}, delay {done.delay}; {exact}")
    click.echo(
        f"compared over {made['frames_compared']} frames in many chunkings: "
        f"at most {made['largest_difference']:.1e} from "
        + ("its layers over the whole sequence" if keras else "the network itself")
    )
    _tell_of_edges(made)
    if quantize and data is not None:
        from export.cli.quantise import quantise_measured

        quantise_measured(output, data, force)


def _tell_of_edges(made: dict[str, Any]) -> None:
    """What the network itself does not bear, which no conversion can mend."""
    for key, said in (
        (
            "not_finite",
            "gives NaN or infinity; put a floor under what it divides by or takes the logarithm of",
        ),
        ("unsure", "turns the last bit of its input, or a rounding, into more than 1e-5"),
    ):
        if made[key]:
            click.echo(f"note: in {', '.join(made[key])} the network itself {said}")


def _is_keras(path: Path) -> bool:
    """True for what Keras saved, by its name or its bytes."""
    if path.suffix.lower() in (".keras", ".h5", ".hdf5"):
        return True
    if path.suffix == ".onnx":
        return False
    try:
        kind = model_kind(read_model_file(path))
    except ModelError:
        return False  # whoever opens it says what is wrong
    return kind is not None and "Keras" in kind.name


def _from_keras(
    path: Path, output: Path, card: ModelCard, as_the_network: bool, options: dict[str, Any]
) -> ModelCard:
    """Convert a network of Keras; its last layer names the activation where nobody else did."""
    from export.keras.conversion import ends_in, from_keras, offline_graph

    offline = offline_graph(path, options["time_axis"])
    found = ends_in(offline, options["output_index"])
    if as_the_network and found is not None:
        card = msgspec.structs.replace(card, activation=found)
    done = from_keras(offline, output, card, **options)
    for note in offline.notes:
        click.echo(f"note: {printable(note)}")
    return done


def _network(path: Path) -> tuple[Network, ModelCard | None]:
    """What to export, and the card that came with it."""
    if path.suffix == ".onnx":
        return path, None
    from export.models.checkpoint import load_model

    loaded = load_model(path)
    return loaded.model, loaded.card


def _check_network(path: Path, card: ModelCard | None, keras: bool) -> None:
    """Refuse what is not there, and a network whose labels nobody knows."""
    if path.is_dir():
        raise CheckpointError(
            f"{path}: is a folder; give the file that stream-classify train wrote, or an ONNX graph"
        )
    if not path.exists():
        raise CheckpointError(
            f"{path}: no such file; give one that stream-classify train wrote, or an ONNX graph"
        )
    if keras:
        require("h5py")
    if keras and card is None:
        raise UsageError(f"{path}: a Keras network has no labels; add --labels A,B,… or --card card.json")
    if path.suffix == ".onnx" and card is None:
        raise UsageError(f"{path}: an offline ONNX has no labels; add --labels A,B,… or --card card.json")


def _check_measuring(data: Path | None) -> None:
    """Refuse to quantise where its cost in accuracy cannot be measured, before anything is written."""
    if data is None:
        raise UsageError(
            "--quantize: its cost in accuracy must be measured; add --data FOLDER with labelled recordings"
        )
    from export.data.dataset import read_dataset

    read_dataset(data)
    require("scipy", "sklearn")  # for figures, when the model has been written


def _card(network: Path, file: Path | None, labels: str | None, activation: str) -> ModelCard | None:
    """The card that the options give; None = the network's own."""
    if file is not None and labels is not None:
        raise UsageError("--card and --labels: the card has the labels; give one of them")
    if file is not None:
        try:
            return ModelCard.from_json(_with_schema(file.read_bytes()))
        except OSError as error:
            raise CardInvalid(f"{file}: {error.strerror}; name a JSON file with the card") from None
    if labels is not None:
        names = tuple(name.strip() for name in labels.split(",") if name.strip())
        return ModelCard(name=network.stem, labels=names, activation=activation, features=MfccSpec())  # type: ignore[arg-type]
    return None


def _with_schema(text: bytes) -> bytes:
    """Cards written by hand may leave the schema number out."""
    try:
        fields = msgspec.json.decode(text)
    except msgspec.MsgspecError as error:
        raise CardInvalid(f"the model card is not JSON: {error}") from None
    return msgspec.json.encode({"schema": 1, **fields}) if isinstance(fields, dict) else text
