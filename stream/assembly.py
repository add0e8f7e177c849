"""The objects of a run, made from options: classifier, source, JSON lines and outputs."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from stream.errors import UsageError

if TYPE_CHECKING:
    from stream.classifier import StreamClassifier
    from stream.decisions.spec import DetectorSpec
    from stream.inference.engine import Engine
    from stream.inference.session import Model
    from stream.messages import SourceInfo
    from stream.outputs.jsonl import JsonLines
    from stream.outputs.kept import KeptSounds
    from stream.outputs.outputs import Outputs
    from stream.settings.layered_rules import Origins
    from stream.source_listening import Listening


def make_classifier(model: Model, options: Listening, engine: Engine | None = None) -> StreamClassifier:
    """The classifier, with the rules of the card and the changes that were asked for; ``engine`` as it takes it."""
    from stream.classifier import StreamClassifier
    from stream.features.conditioner import MAX_GAP_SECONDS

    rules, _ = make_rules(model, options)
    return StreamClassifier(
        model,
        rules,
        derived=options.derived,
        repair=options.repair,  # type: ignore[arg-type]  # click has checked it
        max_gap=MAX_GAP_SECONDS if options.max_gap is None else options.max_gap,
        reset_after=options.reset_after,
        engine=engine,
    )


def make_rules(model: Model, options: Listening) -> tuple[DetectorSpec, Origins]:
    """The rules in force, and where they come from."""
    from stream.decisions.derived import LOUD
    from stream.settings.layered_rules import lay_over

    for file in options.files:
        known = [*model.labels, *options.derived.groups, *(() if options.derived.loud is None else (LOUD,))]
        file.check_classes(model.labels, known)
    return lay_over(
        options.derived.detector(model.card.detector),
        options.derived.labels(model.labels),
        options.rules,
        apart=() if options.derived.loud is None else (LOUD,),
    )


def warm_up(classifier: StreamClassifier) -> None:
    """Run half a second of silence through everything, then forget it."""
    import numpy as np

    hop = np.zeros(classifier.hop, np.float32)
    for _ in range(max(1, classifier.sample_rate // 2 // classifier.hop)):
        classifier.push(hop)
    classifier.flush()
    classifier.reset()


def make_json_lines(
    options: Listening, model: Model, source: str, live: bool, dashboard: bool
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


def make_outputs(
    options: Listening, classifier: StreamClassifier, source: SourceInfo, kept: KeptSounds | None = None
) -> Outputs:
    """The outputs that were asked for, ready before the first sound; with --no-speech, ``kept`` behind their guard."""
    from stream.attaching import context_of
    from stream.outputs.catalogue import all_outputs, open_outputs
    from stream.privacy.guarding import make_guard

    asked = all_outputs(options.outputs, options.output_tables)
    context = context_of(source, classifier, asked, options.acting)
    guard = make_guard(
        no_audio=options.no_audio, no_speech=options.no_speech, beside=[] if kept is None else [kept]
    )
    return open_outputs(
        options.outputs, context, tables=options.output_tables, acting=options.acting, guard=guard
    )


def same_file(output: str, path: str) -> bool:
    """Whether lines to ``output`` would go into the file at ``path``, whatever both are called."""
    try:
        found = os.fstat(1) if output == "-" else os.stat(output)
        return stat.S_ISREG(found.st_mode) and os.path.samestat(found, os.stat(path))
    except (OSError, ValueError):  # one of them is no file
        return False
