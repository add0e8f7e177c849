"""What ``stream-classify calibrate`` hears: sound without events, new or kept, and recordings with events."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream.cli.say import say
from stream.cli.values import LONGEST_SECONDS
from stream.errors import DataError

if TYPE_CHECKING:
    from export.calibration import HeardStream
    from export.recalibration.budget_text import Budget
    from export.recalibration.recalibrate import Recalibration
    from export.recalibration.score_store import ScoreStore
    from stream.inference.session import Model

DEVICE_HOURS = 8.0
INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it


@dataclass(frozen=True, slots=True)
class Sounds:
    """What to hear, as the options say it."""

    negatives: list[str]
    device: str | None
    history: str | None
    hours: float | None
    resume: bool
    positives: str | None
    review: str | None


def heard_folder(output: Path) -> Path:
    """Where what is heard for an output is kept."""
    return output.with_suffix(".heard")


def calibrated(
    model: Model, chosen: tuple[str, ...], sounds: Sounds, budget: Budget, output: Path
) -> tuple[Recalibration, dict[str, Any]]:
    """Hear everything and find the rules; with where they come from, for the card."""
    from export.recalibration.hearing import negative_files
    from export.recalibration.positives import hear_positives, labelled, reviewed
    from export.recalibration.recalibrate import recalibrate
    from export.recalibration.stamp import provenance

    files, left_out = negative_files(sounds.negatives, chosen) if sounds.negatives else ([], 0)
    recordings = () if sounds.positives is None else labelled(sounds.positives, chosen)
    recordings += () if sounds.review is None else reviewed(sounds.review, chosen)
    both = {path.resolve() for path in files} & {recording.path.resolve() for recording in recordings}
    if both:
        raise DataError(
            f"{sorted(both)[0]}: is in --negatives and among what is labelled; leave it out of one"
        )
    if left_out:
        say(f"{left_out} recordings of {', '.join(chosen)} are left out of the sound without events")
    streams, origin = _without_events(model, files, sounds, heard_folder(output))
    heard = None
    if recordings:
        with _progress("labelled recordings") as tell:
            heard = hear_positives(
                model, recordings, progress=lambda _, done, total: tell(float(done), float(total))
            )
        for where, reason in heard.skipped:
            say(f"skipped {where}: {reason}")
    found = recalibrate(model.card, streams, [heard.stream] if heard else [], budget, chosen)
    return found, provenance(found, origin, heard)


def _without_events(
    model: Model, files: list[Path], sounds: Sounds, folder: Path
) -> tuple[list[HeardStream], dict[str, Any]]:
    """The streams without events, and where they come from."""
    from export.recalibration.from_history import history_stream
    from export.recalibration.hearing import about
    from export.recalibration.score_store import ScoreStore
    from export.recalibration.stamp import heard_parts

    if sounds.history is not None:
        enough = sounds.hours or LONGEST_SECONDS / 3600
        stream, origin = history_stream(sounds.history, model, about(model), model.card.detector, enough)
        return [stream], origin
    store = ScoreStore(folder, about(model), resume=sounds.resume)
    _listen(store, model, files, sounds.device, sounds.hours)
    return store.streams(), heard_parts(list(store.parts.values()), store.hours)


def _listen(
    store: ScoreStore, model: Model, files: list[Path], device: str | None, hours: float | None
) -> None:
    """Fill the store; DataError if nothing was heard."""
    from export.recalibration.hearing import hear_files, hear_source

    enough = hours or (DEVICE_HOURS if device is not None else LONGEST_SECONDS / 3600)
    if device is None:
        with _progress("hours without events") as tell:
            notes = hear_files(store, model, files, enough, lambda held: tell(held, hours))
        for path, note in notes:
            say(note if str(path) in note else f"{path}: {note}")
    elif store.hours < enough:
        from stream.assembly import warm_up
        from stream.capture.opening import open_source
        from stream.classifier import StreamClassifier
        from stream.cli.quiet import quieten_portaudio
        from stream.cli.stopping import stop_signals

        quieten_portaudio()
        warm_up(StreamClassifier(model))
        stopped: list[bool] = []

        def stop() -> None:
            stopped.append(True)
            source.close()

        with (
            open_source(device, fast=device.startswith("sim:")) as source,  # nothing to wait for
            _progress("hours without events") as tell,
            stop_signals(stop, []),
        ):
            hear_source(store, model, source, enough, lambda held: tell(held, enough))
        if store.hours < enough:
            so_far = f"{math.floor(store.hours * 1e4) / 1e4:g}"  # not more than there is
            text = (
                f"{source.info().name}: {so_far} h of {enough:g} h were heard; calibrate with these by "
                f"--resume --hours {so_far}, or go on by --resume"
            )
            if not stopped:
                raise DataError(f"{text}; the source ended by itself")
            say(text)
            sys.exit(INTERRUPTED)
    if not store.rows:
        raise DataError("nothing was heard: the sound without events is shorter than one frame; give more")


@contextmanager
def _progress(what: str) -> Iterator[Callable[[float, float | None], None]]:
    """A bar on a terminal, nothing elsewhere; on stderr. It is told how much is done, and of how much."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.2f}"))
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
