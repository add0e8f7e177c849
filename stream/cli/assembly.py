"""The objects of a run, made from options: classifier, source, JSON lines and outputs."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from stream.errors import UsageError

if TYPE_CHECKING:
    from stream.capture.source import AudioSource
    from stream.classifier import StreamClassifier
    from stream.cli.options import Options
    from stream.inference.session import Model
    from stream.messages import SourceInfo
    from stream.outputs.jsonl import JsonLines
    from stream.outputs.outputs import Outputs


def make_classifier(model: Model, options: Options) -> StreamClassifier:
    """The classifier, with the rules of the card and the changes that were asked for."""
    from stream.classifier import StreamClassifier
    from stream.cli.rules import derived_spec, detector_spec
    from stream.decisions.derived import LOUD
    from stream.features.conditioner import MAX_GAP_SECONDS

    derived = derived_spec(options.group, options.loud)
    rules = detector_spec(
        derived.detector(model.card.detector),
        derived.labels(model.labels),
        {
            "threshold": options.threshold,
            "peak_threshold": options.peak_threshold,
            "min_on": options.min_on,
            "min_off": options.min_off,
            "refractory": options.refractory,
            "smoothing": options.smoothing,
        },
        apart=() if options.loud is None else (LOUD,),
    )
    return StreamClassifier(
        model,
        rules,
        derived=derived,
        repair=options.repair,  # type: ignore[arg-type]  # click has checked it
        max_gap=MAX_GAP_SECONDS if options.max_gap is None else options.max_gap,
        reset_after=options.reset_after,
    )


def warm_up(classifier: StreamClassifier) -> None:
    """Run half a second of silence through everything, then forget it."""
    import numpy as np

    hop = np.zeros(classifier.hop, np.float32)
    for _ in range(max(1, classifier.sample_rate // 2 // classifier.hop)):
        classifier.push(hop)
    classifier.flush()
    classifier.reset()


def open_input(options: Options, chunk_seconds: float | None = None) -> AudioSource:
    """The source that was asked for; ``chunk_seconds`` as `open_source` takes it."""
    from stream.capture.opening import open_source
    from stream.cli.quiet import quieten_portaudio
    from stream.installation import asset

    quieten_portaudio()
    text = str(asset("demo.ogg")) if options.demo else options.input or options.device
    if options.device is not None and not options.device.strip():
        raise UsageError("--device '': want a number or part of a name; see --list-devices")
    return open_source(
        text,
        sample_rate=options.sample_rate,
        channel=options.channel,
        block_samples=options.block_samples,
        format=options.format,
        channels=options.channels,
        fast=options.fast,
        when_late=None if options.demo or options.input else options.when_late,  # a microphone's
        chunk_seconds=chunk_seconds,
        insecure=options.insecure,
    )


def make_json_lines(
    options: Options, model: Model, source: str, live: bool, dashboard: bool
) -> list[JsonLines]:
    """The JSON lines that were asked for: one sink or none."""
    from stream.outputs.jsonl import JsonLines
    from stream.outputs.records import Origin

    path = options.jsonl if dashboard or options.jsonl else "-"
    if path is None:
        if options.scores or options.onsets:
            raise UsageError("--scores and --onsets are for JSON lines; add --jsonl PATH")
        return []
    for name, other in (("--input", options.input), ("--model", options.model)):
        if other is not None and same_file(path, other):
            raise UsageError(f"--jsonl {path}: is the file of {name}; name another file")
    origin = Origin(source, model.card.name, model.sha256)
    # Nothing is lost where a recording, or whoever writes to standard input, waits for a slow reader.
    waits = not live or options.fast or options.input == "-"
    return [JsonLines(path, origin, live=live, onsets=options.onsets, scores=options.scores, waits=waits)]


def make_outputs(options: Options, classifier: StreamClassifier, source: SourceInfo) -> Outputs:
    """The outputs that were asked for, ready before the first sound."""
    from stream.cli.rules import derived_spec
    from stream.outputs.catalogue import all_outputs, open_outputs
    from stream.outputs.output import OutputContext
    from stream.outputs.records import Origin
    from stream.outputs.switches import make_switches

    card = classifier.model.card
    groups = tuple(derived_spec(options.group, options.loud).groups)
    context = OutputContext(
        origin=Origin(source.name, card.name, classifier.model.sha256),
        source=source,
        labels=classifier.labels,
        detector=classifier.detector_spec,
        sample_rate=classifier.sample_rate,
        groups=groups,
        switches=make_switches(
            groups=groups, schedules=(), outputs=[each.switch for each in all_outputs(options.outputs)]
        ),
        card=card,
        settings=classifier.settings,
        model_path=os.path.abspath(classifier.model.path),
    )
    return open_outputs(options.outputs, context)


def same_file(output: str, path: str) -> bool:
    """Whether lines to ``output`` would go into the file at ``path``, whatever both are called."""
    try:
        found = os.fstat(1) if output == "-" else os.stat(output)
        return stat.S_ISREG(found.st_mode) and os.path.samestat(found, os.stat(path))
    except (OSError, ValueError):  # one of them is no file
        return False
