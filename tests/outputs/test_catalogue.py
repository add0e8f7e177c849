"""Outputs by options: found, made with their values, run side by side, and ended within one deadline."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import numpy as np
import pytest
from click.testing import CliRunner

from stream.decisions.spec import DetectorSpec
from stream.errors import TryAgain, UsageError
from stream.messages import Chunk, Event, Result, Scores, SourceInfo, Status
from stream.outputs import catalogue
from stream.outputs.output import Option, OutputContext
from stream.outputs.output_report import OutputReport
from stream.outputs.outputs import Outputs
from stream.outputs.queued import Queued, Want
from stream.outputs.records import Origin
from stream.outputs.switches import Switches
from tests.support.sinks import Collected

WAIT_SECONDS = 10.0


class Bell(Collected):
    """Rings for each event. What somebody else's package could hold."""

    OPTIONS: ClassVar = (
        Option(name="bell", metavar="NAME", help="Ring it."),
        Option(name="bell-volume", metavar="N", help="How loud.", type=float, default=0.5, low=0, high=1),
    )
    WANTS: ClassVar[frozenset[Want]] = frozenset({"event"})
    WRITES_SOUND = False
    made: ClassVar[list[Bell]] = []

    def __init__(self, context: OutputContext, *, bell: str, bell_volume: float) -> None:
        super().__init__()
        if bell == "cracked":
            raise UsageError("--bell cracked: does not ring; give another one")
        self.bell, self.volume, self.labels = bell, bell_volume, context.labels
        self.history_seconds = 2.0
        Bell.made.append(self)


@pytest.fixture
def with_bell(monkeypatch: pytest.MonkeyPatch) -> Any:
    entry = EntryPoint("bell", f"{__name__}:Bell", catalogue.GROUP)
    monkeypatch.setattr(catalogue, "entry_points", lambda group: [entry])
    catalogue.output_classes.cache_clear()
    Bell.made.clear()
    yield
    catalogue.output_classes.cache_clear()


def context() -> OutputContext:
    return OutputContext(
        origin=Origin("a", "m", "0"),
        source=SourceInfo("a", 16000),
        labels=("a", "b"),
        detector=DetectorSpec(),
        sample_rate=16000,
    )


def result(number: int, *, event: bool = False) -> Result:
    scores = Scores(
        np.zeros((1, 2), np.float32), np.array([number]), np.array([True]), ("a", "b"), 16000, 160
    )
    events = (Event(number, "a", 0, None, 0.9, 0.9, 16000, 1),) if event else ()
    return Result(scores, np.zeros((1, 40), np.float32), events, (), number)


@pytest.mark.usefixtures("with_bell")
def test_an_output_of_another_package_is_made_once_for_each_value() -> None:
    outputs = catalogue.open_outputs({"bell": ("door", "tower"), "bell_volume": 0.9}, context())
    for number in range(5):
        outputs.result(result(number, event=number == 3))
    outputs.status(Status("silent", 0, 16000))
    outputs.close()
    assert [(bell.bell, bell.volume, bell.labels) for bell in Bell.made] == [
        ("door", 0.9, ("a", "b")),
        ("tower", 0.9, ("a", "b")),
    ]
    assert outputs.history_seconds == 2.0
    for bell in Bell.made:
        assert [kind for kind, _ in bell.messages] == ["result"]  # it wants events only
    assert [(r.name, r.target, r.delivered) for r in outputs.reports()] == [
        ("bell", "door", 1),
        ("bell", "tower", 1),
    ]


@pytest.mark.usefixtures("with_bell")
@pytest.mark.parametrize("second", ["heard/door", "./heard//door"])
def test_the_same_twice_is_refused_unless_something_differs(
    second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = {"bell": ("heard/door", second)}
    with pytest.raises(UsageError, match=f"--bell {second}: is asked for twice"):
        catalogue.open_outputs(twice, context())
    other = catalogue.OutputTable(kind="bell", target=second, values={"bell_volume": 0.1})
    rule = catalogue.OutputTable(kind="bell", target=second, acting={"classes": frozenset({"a"})})
    outputs = catalogue.open_outputs({"bell": ("heard/door",)}, context(), tables=[other, rule])
    outputs.close()
    monkeypatch.setattr(Bell, "owns_target", True, raising=False)
    with pytest.raises(UsageError, match="twice"):
        catalogue.open_outputs({"bell": ("heard/door",)}, context(), tables=[other])


@pytest.mark.usefixtures("with_bell")
def test_its_options_are_options_of_the_command_line() -> None:
    import click

    from stream.cli.outputs import output_options
    from stream.outputs.catalogue import take_output_values

    seen: dict[str, Any] = {}

    @click.command()
    @output_options
    def command(**values: Any) -> None:
        seen.update(take_output_values(values))
        assert not values

    run = CliRunner().invoke
    assert run(command, ["--bell", "door", "--bell", "tower"]).exit_code == 0
    assert seen.items() >= {"bell": ("door", "tower"), "bell_volume": 0.5}.items()
    wrong = run(command, ["--bell-volume", "2"])
    assert wrong.exit_code == 2
    assert "--bell-volume" in wrong.output


def test_an_entry_point_that_is_no_output_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("bell", "json:dumps", catalogue.GROUP)
    monkeypatch.setattr(catalogue, "entry_points", lambda group: [entry])
    catalogue.output_classes.cache_clear()
    with pytest.raises(UsageError, match=r"'bell' of json:dumps"):
        catalogue.output_classes()
    catalogue.output_classes.cache_clear()


class Posted(Bell):
    """Delivers in its own time, to addresses that hold secrets."""

    @classmethod
    def shown(cls, target: str) -> str:
        return target.partition("?")[0]

    def amended(self, report: OutputReport) -> OutputReport:
        return replace(report, waiting=report.waiting + 7, trouble="nobody answers")

    def hurry(self) -> None:
        self.take("hurry", None)


def test_an_output_can_hide_its_target_amend_its_report_and_learn_of_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catalogue, "output_classes", lambda: {"bell": Posted})
    Bell.made.clear()
    outputs = catalogue.open_outputs({"bell": ("door?secret",)}, context())
    (report,) = outputs.reports()
    assert (report.target, report.waiting, report.trouble) == ("door", 7, "nobody answers")
    outputs.close()
    outputs.close()
    assert [kind for kind, _ in Bell.made[0].messages] == ["hurry"]
    assert Bell.made[0].closings == 1


class Away(Collected):
    """A peer that is away for the first calls."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times
        self.tried = threading.Event()

    def take(self, kind: str, message: Any) -> None:
        self.tried.set()
        if self.left:
            self.left -= 1
            raise TryAgain("nobody answers")
        super().take(kind, message)


def test_what_fails_for_now_is_tried_again_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.outputs.queued.FIRST_RETRY_SECONDS", 0.001)
    sink = Away(3)
    queued = Queued(sink)
    for number in range(3):
        queued.result(result(number, event=True))
    deadline = time.monotonic() + WAIT_SECONDS
    while queued.report().delivered < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert queued.report().trouble == ""
    queued.close()
    assert [message.end for kind, message in sink.messages if kind == "result"] == [0, 1, 2]
    assert queued.errors == 0


def test_a_peer_that_stays_away_is_tried_once_more_at_the_end() -> None:
    sink = Away(1000)
    queued = Queued(sink, name="bell")
    for number in range(3):
        queued.result(result(number, event=True))
    assert sink.tried.wait(WAIT_SECONDS)
    deadline = time.monotonic() + WAIT_SECONDS
    while not queued.report().trouble and time.monotonic() < deadline:
        time.sleep(0.001)
    assert queued.report().trouble == "nobody answers"
    assert queued.report().waiting == 3
    queued.close()
    assert queued.errors + queued.dropped["result"] == 3


class Stuck(Collected):
    def __init__(self, gate: threading.Event) -> None:
        super().__init__()
        self.gate = gate

    WANTS = frozenset({"status"})

    def take(self, kind: str, message: Any) -> None:
        self.gate.wait(WAIT_SECONDS)


def test_several_that_hang_share_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    joins: list[float] = []
    gate = threading.Event()
    outputs = Outputs([(Stuck(gate), str(n), "") for n in range(4)])  # type: ignore[misc]
    outputs.status(Status("silent", 0, 16000))
    began = time.monotonic()
    join = threading.Thread.join

    def recorded(self: threading.Thread, timeout: float | None = None) -> None:
        joins.append(timeout or 0.0)
        join(self, timeout)

    monkeypatch.setattr(threading.Thread, "join", recorded)
    outputs.close()
    gate.set()
    assert time.monotonic() - began < WAIT_SECONDS
    assert sum(joins) <= 1.0 + 1e-6
    assert [r.waiting for r in outputs.reports()] == [1, 1, 1, 1]


def test_switches_tell_who_watches() -> None:
    switches = Switches(["alarm", "night"])
    seen: list[tuple[str, bool]] = []
    switches.watch(lambda name, on: seen.append((name, on)))
    switches.set("night", False)
    switches.set("night", False)
    assert seen == [("night", False)]
    assert (switches.is_on("alarm"), switches.is_on("night"), switches.is_on("speech")) == (True, False, True)
    with pytest.raises(UsageError, match="there are alarm, night"):
        switches.set("day", True)


def test_chunks_reach_only_those_that_want_them() -> None:
    sink = Collected()
    queued = Queued(sink, wants={"chunk"})
    queued.chunk(Chunk(np.zeros(4, np.float32), 0, 16000))
    queued.result(result(0, event=True))
    queued.close()
    assert [kind for kind, _ in sink.messages] == ["chunk"]
