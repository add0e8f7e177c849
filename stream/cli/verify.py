"""``stream-classify verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stream.cli.completion import complete_model
from stream.cli.help import TaskCommand
from stream.errors import StreamClassifyError
from stream.printable import printable

if TYPE_CHECKING:
    from stream.inference.card import ModelCard


@click.command(cls=TaskCommand, epilog="Example: stream-classify verify model.onnx")
@click.argument("model", type=click.Path(), shell_complete=complete_model)
@click.option(
    "--provider",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where the model runs.",
)
def verify(model: str, provider: str) -> None:
    """Prove that MODEL works on this machine as it did when it was exported.

    The file carries a recording, its features and the probabilities that came out. All of it is computed again here:
    as a whole, hop by hop, in random chunks, alone and beside other streams. Exit code 0 only if everything agrees.
    MODEL is a file, or the name of a bundled model: default, small, alarms.
    """
    from stream.cli.models import model_path, opening
    from stream.inference.session import Model
    from stream.inference.verify import verify as run_proofs

    path = model_path(model)
    try:
        with opening(path, provider):
            checks = run_proofs(path, provider)  # type: ignore[arg-type]  # click has checked it
            card = Model.load(path, "cpu").card
    except StreamClassifyError:
        click.echo("FAILED", err=True)
        raise
    for check in checks:
        click.echo(f"ok  {check.name:45s} differs by {check.difference:.1e}, allowed {check.limit:.0e}")
    if note := kernel_note(card):
        click.echo(f"note: {note}")
    click.echo(printable(f"{model}: proven on this machine"))


def kernel_at_export(provenance: dict[str, Any]) -> str | None:
    """What computed the features that a model was proven with, as the exporter wrote it; None where it did not."""
    export = provenance.get("export")
    found = export.get("feature_kernel") if isinstance(export, dict) else None
    return found if isinstance(found, str) else None


def kernel_note(card: ModelCard) -> str:
    """What to know if features are computed by other code here than when the model was exported; else nothing."""
    from stream.features.kernel import kernel_name

    exported, here = kernel_at_export(card.provenance), kernel_name(card.features)
    if exported is None or exported == here:
        return ""
    return (
        f"exported with the {exported} feature kernel, {here} runs here: they agree to rounding, as measured above, "
        "not to the bit"
    )
