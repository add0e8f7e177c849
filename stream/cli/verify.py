"""``stream-classify verify``."""

from __future__ import annotations

import click

from stream.cli.completion import complete_model
from stream.cli.help import TaskCommand
from stream.errors import StreamClassifyError


@click.command(cls=TaskCommand, epilog="Example: stream-classify verify model.onnx")
@click.argument("model", type=click.Path(), shell_complete=complete_model)
@click.option("--provider", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
def verify(model: str, provider: str) -> None:
    """Prove that MODEL works on this machine as it did when it was exported.

    The file carries a sound, its features and the answers they gave. All of it is computed again here: whole,
    hop by hop, in random chunks, alone and beside other streams. Exit code 0 only if everything agrees.
    MODEL is a file, or default or small for a bundled one.
    """
    from stream.cli.models import memory_ceiling, model_path
    from stream.inference.verify import verify as run_proofs

    path = model_path(model)
    try:
        with memory_ceiling(path, provider):
            checks = run_proofs(path, provider)  # type: ignore[arg-type]  # click has checked it
    except StreamClassifyError:
        click.echo("FAILED", err=True)
        raise
    for check in checks:
        click.echo(f"ok  {check.name:45s} differs by {check.difference:.1e}, allowed {check.limit:.0e}")
    click.echo(f"{model}: proven on this machine")
