"""attach_outputs: the outputs of the command line for a run in Python."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from stream.errors import UsageError
from stream.outputs.acting_rule import ActingRules
from stream.outputs.catalogue import OutputTable, all_outputs, open_outputs, output_classes, refuse_sound
from stream.outputs.output import OutputContext
from stream.outputs.outputs import Outputs
from stream.outputs.records import Origin
from stream.outputs.switches import make_switches
from stream.privacy.guarding import make_guard
from stream.settings.document import unknown

if TYPE_CHECKING:
    from stream.capture.source import AudioSource
    from stream.classifier import StreamClassifier
    from stream.messages import SourceInfo


def attach_outputs(
    source: AudioSource,
    classifier: StreamClassifier,
    *,
    acting: ActingRules | None = None,
    tables: Sequence[OutputTable] = (),
    no_audio: bool = False,
    no_speech: bool = False,
    **values: Any,
) -> Outputs:
    """Make outputs, to be given to `run` as one sink. Each has a thread and a queue of its own.

        outputs = attach_outputs(source, classifier, clips="clips", pre_roll=1.0, acting=rules)
        run(source, classifier, [outputs])

    Args:
        source, classifier: of the run.
        acting: which events each output is told of; None = all.
        tables: further outputs, with settings of their own.
        no_audio: write no sound: outputs that would are refused.
        no_speech: silence speech in all sound that is written.
        values: of the options of outputs by their names, with underscores: what ``--help`` lists under "What happens
            then". What asks for an output may be a sequence, for several.

    Raises:
        UsageError: no such option, or a value that is not allowed.
        OutputError: an output that cannot be opened.
    """
    given = _checked(values)
    if no_audio or no_speech:
        refuse_sound(given, tables, all_of_it=no_audio)
    acting = ActingRules() if acting is None else acting
    context = context_of(source.info(), classifier, all_outputs(given, tables), acting)
    guard = make_guard(no_audio=no_audio, no_speech=no_speech)
    return open_outputs(given, context, tables=tables, acting=acting, guard=guard)


def context_of(
    source: SourceInfo, classifier: StreamClassifier, asked: Iterable[OutputTable], acting: ActingRules
) -> OutputContext:
    """What outputs are told about a run.

    Args:
        source: what was opened.
        classifier: of the run.
        asked: all its outputs.
        acting: rules, for the names of schedules.

    Raises:
        UsageError: a group, a schedule and an output that have one name.
    """
    card = classifier.model.card
    return OutputContext(
        origin=Origin(source.name, card.name, classifier.model.sha256),
        source=source,
        labels=classifier.labels,
        detector=classifier.detector_spec,
        sample_rate=classifier.sample_rate,
        groups=classifier.groups,
        switches=make_switches(
            groups=classifier.groups, schedules=acting.schedules, outputs=[each.switch for each in asked]
        ),
        card=card,
        settings=classifier.settings,
        model_path=os.path.abspath(classifier.model.path),
    )


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """Values as the outputs take them; see `Option`."""
    options = {
        option.keyword: (option, place == 0)
        for kind in output_classes().values()
        for place, option in enumerate(kind.OPTIONS)
    }
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name not in options:
            raise UsageError(unknown(f"option {name}", options))
        option, asks = options[name]
        each = value if asks and isinstance(value, (list, tuple)) else [value]
        if option.check is not None:
            each = [one if one is None else option.check(one) for one in each]
        checked[name] = tuple(each) if asks else each[0]
    return checked
