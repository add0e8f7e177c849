"""``export --quantize``: int8 weights, kept only if they cost little accuracy."""

from __future__ import annotations

import os
from pathlib import Path

import click

from export.conversion.quantisation import quantise, step_microseconds
from export.evaluation.evaluate import evaluate, headline
from stream.errors import ExportError
from stream.inference.session import Model

MAX_LOSS = 0.01  # of the headline figure: one point


def quantise_measured(path: Path, data: Path, force: bool) -> None:
    """Replace the model at ``path`` by its int8 form, after printing accuracy, time and size of both.

    Raises:
        ExportError: it loses more than a point and ``force`` is not set; ``path`` is then removed.
    """
    draft = path.with_suffix(".int8.onnx")
    done = quantise(path, draft)
    try:
        models = [Model.load(path, "cpu"), Model.load(draft, "cpu")]
        rows = [headline(evaluate(model, str(data)).report) for model in models]
        times = step_microseconds(models)
        click.echo(f"{'carried state':28s}{'float32':>12s}{'int8':>12s}")
        for (name, before, _), (_, after, _) in zip(*rows, strict=True):
            click.echo(f"{name:28s}{before:12.4f}{after:12.4f}")
        click.echo(
            f"{'microseconds a step':28s}{times[0]:12.1f}{times[1]:12.1f}   {times[0] / times[1]:.2f} x"
        )
        click.echo(f"{'bytes':28s}{done.bytes_before:12d}{done.bytes_after:12d}")
        click.echo(f"replaced: {', '.join(f'{n} {op}' for op, n in done.replaced.items())}; not bit-exact")
        lost = rows[0][0][1] - rows[1][0][1]
        if lost > MAX_LOSS and not force:
            path.unlink()
            raise ExportError(
                f"int8 loses {100 * lost:.1f} points of {rows[0][0][0]}, at most 1 is allowed; "
                "leave --quantize out, or add --force"
            )
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
