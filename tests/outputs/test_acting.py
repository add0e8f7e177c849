"""Rules of acting: which events an output is told of."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from stream.decisions.spec import DetectorSpec
from stream.errors import SpecError, TryAgain, UsageError
from stream.messages import Chunk, Event, Gap, Result, Scores, SourceInfo
from stream.outputs.acting import Acting
from stream.outputs.acting_rule import FIELDS, ActingRule, ActingRules
from stream.outputs.hours import Schedule, read_days, read_hours
from stream.outputs.levels import Levels
from stream.outputs.output import OutputContext
from stream.outputs.output_report import OutputReport
from stream.outputs.outputs import Outputs
from stream.outputs.queued import Want
from stream.outputs.records import Origin
from stream.outputs.switches import Switches, make_switches
from tests.support.sinks import Collected

RATE = 1000
BERLIN = ZoneInfo("Europe/Berlin")
MONDAY_NOON = datetime(2026, 11, 23, 12, tzinfo=BERLIN).timestamp()  # wall clock at sample 0


class Told(Collected):
    OPTIONS: ClassVar = ()
    WANTS: ClassVar[frozenset[Want]] = frozenset({"event"})
    WRITES_SOUND = False

    @property
    def results(self) -> list[Result]:
        return self.of("result")

    @property
    def events(self) -> list[Event]:
        return [event for each in self.results for event in each.events]


class Scene:
    """Events, pushed through a rule; the wall clock goes with the samples."""

    def __init__(self, wants: frozenset[Want] = frozenset({"event"}), **rule: Any) -> None:
        self.output = Told()
        self.output.WANTS = wants  # type: ignore[misc]
        self.switches = Switches(["bell", "alarm", "night"])
        self.start = MONDAY_NOON
        self.now = 0.0  # seconds of the stream; also the monotonic clock
        context = OutputContext(
            origin=Origin("mic", "toy", ""),
            source=SourceInfo("mic", RATE, 1, True),
            labels=("speech", "alarm"),
            detector=DetectorSpec(),
            sample_rate=RATE,
            groups=("alarm",),
            switches=self.switches,
            wall=lambda: self.start + self.now,
            monotonic=lambda: self.now,
        )
        self.acting = Acting(
            self.output,
            context,
            name="bell",
            rule=ActingRule(**rule),
            schedules={"night": Schedule(hours=(read_hours("22-6"),))},
            local=lambda seconds: datetime.fromtimestamp(seconds, BERLIN),
        )
        self.ids = 0

    def event(self, at: float, label: str = "speech", peak: float = 0.9) -> bool:
        """An event of a second. Whether the output was told of it: of both messages or of none."""
        before = len(self.output.events)
        self.begin(at, label, peak)
        self.end(self.ids - 1, at, label, peak)
        told = self.output.events[before:]
        assert [e.offset is None for e in told] in ([], [True, False])
        return bool(told)

    def begin(self, at: float, label: str = "speech", peak: float = 0.9) -> int:
        self.push(Event(self.ids, label, round(at * RATE), None, peak, peak, RATE, 0), at + 0.1)
        self.ids += 1
        return self.ids - 1

    def end(self, number: int, at: float, label: str = "speech", peak: float = 0.9) -> None:
        onset = round(at * RATE)
        self.push(Event(number, label, onset, onset + RATE, peak, peak, RATE, 0), at + 1.1)

    def push(self, event: Event, now: float) -> None:
        self.now = now
        self.acting.result(result(event, now=now))


def result(*events: Event, now: float = 0.0, gaps: tuple[Gap, ...] = ()) -> Result:
    empty = np.empty((0, 2), np.float32)
    scores = Scores(empty, np.empty(0, np.int64), np.empty(0, bool), ("speech", "alarm"), RATE, 10)
    return Result(scores, empty, events, gaps, round(now * RATE), captured_at=now)


def test_no_rule_passes_everything() -> None:
    scene = Scene()
    assert all(scene.event(at) for at in range(5))


def test_classes_and_scores() -> None:
    scene = Scene(classes=frozenset({"alarm"}), score=0.8)
    assert [scene.event(0), scene.event(2, "alarm"), scene.event(4, "alarm", 0.79)] == [False, True, False]
    assert scene.acting.held_back == 2


def test_cooldown_counts_from_what_was_told_and_for_each_class() -> None:
    scene = Scene(cooldown=10.0)
    assert [scene.event(at) for at in (0, 5, 9.5, 10, 12, 20)] == [True, False, False, True, False, True]
    assert scene.event(21, "alarm")


def test_n_events_in_m_minutes() -> None:
    scene = Scene(at_least=3, within=60.0)
    times = (0, 30, 59, 61, 200, 230, 255)
    assert [scene.event(at) for at in times] == [False, False, True, True, False, False, True]
    assert not scene.event(256, "alarm")


def test_first_of_the_day_by_the_local_date() -> None:
    scene = Scene(first_of_day=True)
    until_midnight = 12 * 3600
    times = (0, 100, until_midnight - 2, until_midnight + 2, until_midnight + 50)
    assert [scene.event(at) for at in times] == [True, False, False, True, False]


def test_hours_and_days_by_the_local_clock() -> None:
    scene = Scene(hours=(read_hours("22:00-07:00"),), days=read_days("mon-fri"))
    hour = 3600.0
    at = {0: False, 10: True, 18.9: True, 19.1: False, 34.5: True}  # hours after Monday noon
    assert {h: scene.event(h * hour) for h in at} == at
    # Friday's night ends on Saturday morning; Saturday evening is out, and so is the morning of Monday.
    days = 24.0
    late = {4 * days + 10: True, 4 * days + 18: True, 5 * days + 10: False, 6 * days + 18: False}
    assert {h: scene.event(h * hour) for h in late} == late


def test_clocks_that_change_neither_crash_nor_shift_the_hours() -> None:
    for day, hours_of_the_day in (("2026-03-29", 23), ("2026-10-25", 25)):
        midnight = datetime.fromisoformat(day).replace(tzinfo=BERLIN).timestamp()
        scene = Scene(hours=(read_hours("2:00-3:00"), read_hours("7-8")))
        scene.start = midnight
        told = [h for h in range(hours_of_the_day) if scene.event(h * 3600 + 1800.0)]
        # In spring there is no hour from 2 to 3, in autumn there are two; 7 o'clock is when the wall says so.
        assert told == ([6] if hours_of_the_day == 23 else [2, 3, 8])


def test_an_event_is_told_to_its_end_whatever_is_switched_meanwhile() -> None:
    scene = Scene()
    one = scene.begin(0)
    scene.switches.set("bell", False)
    two = scene.begin(0.5)
    scene.end(one, 0)
    scene.switches.set("bell", True)
    scene.end(two, 0.5)
    assert [(e.id, e.offset is None) for e in scene.output.events] == [(one, True), (one, False)]
    assert scene.acting.held_back == 1


def test_groups_and_schedules_are_switched() -> None:
    scene = Scene(schedule=("night",))
    night = 11 * 3600.0
    assert [scene.event(0), scene.event(night)] == [False, True]
    scene.switches.set("night", False)
    assert not scene.event(night + 10)
    scene.switches.set("night", True)
    scene.switches.set("alarm", False)
    assert [scene.event(night + 20), scene.event(night + 30, "alarm")] == [True, False]


def test_an_onset_that_was_dropped_on_the_way_is_decided_at_the_end() -> None:
    scene = Scene(classes=frozenset({"alarm"}))
    scene.end(0, 0, "alarm")
    scene.end(1, 2, "speech")
    assert [e.id for e in scene.output.events] == [0]


def test_gaps_and_scores_pass_without_the_events() -> None:
    scene = Scene(classes=frozenset({"alarm"}))
    event = Event(0, "speech", 0, None, 0.9, 0.9, RATE, 0)
    scene.acting.result(result(event))
    assert not scene.output.results
    scene.acting.result(result(event, gaps=(Gap(0, 5, RATE),)))
    scene.acting.result(result())
    assert [(len(r.events), len(r.gaps)) for r in scene.output.results] == [(0, 1), (0, 0)]
    scene = Scene(wants=frozenset({"result"}), classes=frozenset({"alarm"}))
    scene.acting.result(result(event))
    assert [len(r.events) for r in scene.output.results] == [0]


def test_a_message_that_is_tried_again_counts_once() -> None:
    scene = Scene(at_least=2, within=60.0, cooldown=30.0)
    fails = [True, True]

    class Peer(Told):
        def result(self, result: Result) -> None:
            if fails:
                fails.pop()
                raise TryAgain("not now")
            super().result(result)

    scene.acting._output = scene.output = Peer()
    assert not scene.event(0)
    onset = result(Event(7, "speech", 5 * RATE, None, 0.9, 0.9, RATE, 0), now=5.1)
    for _ in range(2):
        with pytest.raises(TryAgain):
            scene.acting.result(onset)
    scene.acting.result(onset)
    scene.end(7, 5)
    assert [(e.id, e.offset is None) for e in scene.output.events] == [(7, True), (7, False)]


def test_only_above_a_level() -> None:
    scene = Scene(level=-20.0)
    assert scene.acting.wants == {"event", "chunk"}

    def hear(start: float, amplitude: float) -> None:
        samples = np.full(RATE, amplitude, np.float32)
        samples[::7] = np.nan
        for piece in np.array_split(samples, 13):
            scene.acting.chunk(Chunk(piece, round(start * RATE), RATE))
            start += len(piece) / RATE

    hear(0, 0.2)
    hear(1, 0.01)
    hear(2, np.nan)
    assert [scene.event(0), scene.event(1.2), scene.event(2.2)] == [True, False, True]
    assert not scene.output.of("chunk")
    report = scene.acting.amended(OutputReport("bell", "", delivered=39 + 6))
    assert (report.delivered, report.held_back) == (
        4,
        1,
    )  # two messages of one event, and 39 chunks, ended here


def test_levels_do_not_depend_on_chunks_and_stay_bounded() -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, 95_000).astype(np.float32)
    whole, pieces = Levels(), Levels()
    whole.push(Chunk(sound, 17, RATE))
    for at in range(0, len(sound), 7):
        pieces.push(Chunk(sound[at : at + 7], 17 + at, RATE))
    assert len(whole._blocks) == len(pieces._blocks) == 600
    assert whole._blocks.keys() == pieces._blocks.keys()
    for key, (total, count) in whole._blocks.items():
        assert pieces._blocks[key] == (pytest.approx(total), count)
    assert whole.reaches(94, 95, -25)
    assert whole.reaches(94, 95, -15) is False
    assert whole.reaches(1, 2, -15) is None


def test_rules_for_all_for_one_and_for_this_one() -> None:
    rules = ActingRules(every={"cooldown": 5.0, "score": 0.5}, outputs={"bell": {"cooldown": 9.0}})
    assert rules.rule("horn") == ActingRule(cooldown=5.0, score=0.5)
    assert rules.rule("bell", {"score": 0.7}) == ActingRule(cooldown=9.0, score=0.7)
    with pytest.raises(SpecError, match="belong together"):
        ActingRules(every={"at_least": 3}).rule("bell")
    with pytest.raises(SpecError, match="belong together"):
        ActingRules(every={"within": 3.0}).rule("bell")
    taken_back = {name: FIELDS[name]([]) for name in ("classes", "hours", "days", "schedule")}
    assert ActingRule(**taken_back) == ActingRule()
    assert ActingRules(every={"at_least": 3, "within": 5.0}).rule("bell", {"at_least": 1}).at_least == 1


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("classes", ["a", ["a", "b"], []], [3, [1], True]),
        ("hours", ["8-18", ["22:30-07:00", "12-13"], "0-24"], ["8", "8-8", "24-3", "1:60-2", "8-25", 8, ""]),
        ("days", ["sat", "MON-fri", ["sat", "sun"]], ["saturday", "sat-", "1-3", "", 6]),
        ("schedule", ["night"], [4]),
        ("at-least", [1, 3], [0, 2.5, "3", True]),
        ("within", ["10m", 90, 1.5, "1h"], [0, -1, "soon", "10 y", True, float("nan")]),
        ("cooldown", ["30s", 0], ["", None]),
        ("first-of-day", [True, False], ["yes", 1]),
        ("score", [0, 0.8, 1], [1.1, -0.1, "0.8", True]),
        ("level", [-30, "-30dBFS", "-30 dB"], ["loud", 30, True]),
    ],
)
def test_values_as_the_settings_file_has_them(name: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        FIELDS[name](value)
    for value in bad:
        with pytest.raises(ValueError) as caught:
            FIELDS[name](value)
        assert len(str(caught.value).splitlines()) == 1


def test_in_a_run_of_outputs_what_is_held_back_is_reported() -> None:
    scene = Scene(classes=frozenset({"alarm"}))
    outputs = Outputs([(scene.output, "bell", "door")], acting=[scene.acting])
    for number, label in enumerate(("alarm", "speech", "speech")):
        onset = Event(number, label, 0, None, 0.9, 0.9, RATE, 0)
        outputs.result(result(onset))
    outputs.close()
    (report,) = outputs.reports()
    assert (report.delivered, report.held_back) == (1, 2)


def test_names_of_switches_are_unique() -> None:
    assert make_switches(groups=["alarm"], schedules=["night"], outputs=["clips", "clips"]).names == (
        "alarm",
        "night",
        "clips",
    )
    with pytest.raises(UsageError, match="schedule 'alarm': there is a group"):
        make_switches(groups=["alarm"], schedules=["alarm"])
