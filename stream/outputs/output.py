"""What an output is: a sink that options can ask for, what it is told about the run, and what it reports."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from stream.outputs.clip_paths import ClipPaths
from stream.outputs.marks import Marks
from stream.outputs.queued import Want
from stream.outputs.sink import Sink
from stream.outputs.switches import Switches
from stream.outputs.wall_time import CaptureTimes

if TYPE_CHECKING:  # options are read without numpy
    from stream.decisions.spec import DetectorSpec
    from stream.inference.card import ModelCard
    from stream.messages import SourceInfo
    from stream.outputs.records import Origin
    from stream.session.description import ClassifierSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting of an output: ``--name`` on the command line, ``name`` in the settings file.

    Attributes:
        name: as on the command line, without the dashes in front: "pre-roll".
        help: one or two sentences.
        metavar: what stands for the value in the help: "DIR", "S".
        type: of the value: str, int, float or bool. A bool is a flag.
        default: where it is not given.
        low, high: bounds of a number.
        check: takes the value as written and returns what the output is given; raises UsageError with a message
            that names the option.
    """

    name: str
    help: str
    metavar: str = "TEXT"
    type: type = str
    default: Any = None
    low: float | None = None
    high: float | None = None
    check: Callable[[Any], Any] | None = None

    @property
    def keyword(self) -> str:
        """The name as an argument of Python: "pre_roll"."""
        return self.name.replace("-", "_")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputContext:
    """What an output is told about the run that it belongs to, before the first sound.

    Attributes:
        origin: names of source and model, and the model's digest, as in the JSON lines.
        source: what was opened, with the capture rate.
        labels: classes whose probabilities come, in column order.
        detector: the rules that make events of them.
        sample_rate: of the classifier, Hz: that of events, gaps and scores.
        groups: those of the labels that are groups of others.
        switches: what can be switched while it runs: groups, schedules, outputs.
        clips: the files that ``--clips`` has written. An output that names or attaches the clip of an event calls
            ``clips.wait(result, event, timeout)`` in its own thread when the event has ended: a path, or None where
            there is no clip. That answers at once where nothing writes clips.
        card: of the model, where it is known.
        marks: moments that a person marks, for outputs that keep them: they ``watch`` it.
        speech_silenced: whether speech is silenced in the sound that this output is given.
        settings: the arguments that the classifier was made with, beside its model; None where they are not known.
        model_path: the file that the model was loaded from; "" where there is none.
        wall, monotonic: the clocks behind wall times, see `new_times`.
    """

    origin: Origin
    source: SourceInfo
    labels: tuple[str, ...]
    detector: DetectorSpec
    sample_rate: int
    groups: tuple[str, ...] = ()
    switches: Switches = field(default_factory=Switches)
    clips: ClipPaths = field(default_factory=ClipPaths)
    card: ModelCard | None = None
    marks: Marks = field(default_factory=Marks)
    speech_silenced: bool = False
    settings: ClassifierSettings | None = None
    model_path: str = ""
    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic

    def new_times(self) -> CaptureTimes:
        """Wall times of what is captured, for one output: it remembers when events began."""
        return CaptureTimes(self.monotonic, self.wall)


class Output(Sink, Protocol):
    """A sink that options can ask for.

    ``Class(context, **values)`` makes one. ``values`` holds each of ``OPTIONS`` by its keyword; the first of them is
    the one that asks for the output, and can be given several times, for one output each. The constructor
    refuses what can be known to be wrong (an unwritable folder, a bad address, a missing package) with
    `OutputError` or `UsageError`, before the microphone opens; it does not wait for a network.

    Every output is called through `Queued`, in a thread of its own. It may take its time, and raises `TryAgain`
    for what may work later.

    Attributes:
        OPTIONS: at least one.
        WANTS: which messages it is given; see `Want`.
        WRITES_SOUND: whether sound leaves the program through it; ``--no-audio`` then refuses it. With ``--no-speech``
            its chunks come about a second later than the results for them, cut in other places. One that cannot do with
            that has ``NEEDS_ALL_SOUND = True`` as well and is refused. An output that writes no sound is given only how
            loud it is, with either option.

    An output that reads recent sound has an attribute or property ``history_seconds``: how far ``result.sound`` must
    reach back. That sound may end before ``result.end``, where sound is looked at before it is handed on: go by its
    ``span``. A recording is read faster than sound is written: an output with ``holds_up_recordings = True`` makes it
    wait where the output falls behind (some seconds at most; sound that is live never waits).

    An output that wants the state of the classifier has ``snapshot_seconds``: every so many seconds of sound a result
    has it as ``result.snapshot``.

    Rules of acting do not apply to one with ``takes_all_events = True``: it is told of every event. One with
    ``owns_target = True`` cannot be asked for twice with one target, whatever its settings are.

    Five methods may be there as well:

    - ``shown(target) -> str``, a class method: how a target is printed. Those that hold secrets (addresses with
      passwords or tokens) must have it.
    - ``amended(report) -> OutputReport``, from any thread: the queue's report with what the output itself knows, where
      it delivers in its own time.
    - ``hurry()``, from another thread: the end has come, so wait for nothing more. ``close`` follows in the
      output's own thread, behind what is still in its queue.
    - ``missed(count)``, between two messages: so many before the next one were dropped.
    - ``held_back(result, event)``, between two messages: a rule of acting keeps this event from it. Once for each.
    """

    OPTIONS: ClassVar[tuple[Option, ...]]
    WANTS: ClassVar[frozenset[Want]]
    WRITES_SOUND: ClassVar[bool]
