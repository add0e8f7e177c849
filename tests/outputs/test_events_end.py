"""Every event that an output is told of is ended for it, however a run ends."""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from stream.capture.source import ArraySource
from stream.classifier import StreamClassifier
from stream.decisions.derived import DerivedSpec
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import ModelError, SourceError, TryAgain
from stream.inference.session import Model
from stream.messages import Chunk, Event, Result
from stream.outputs.outputs import Outputs
from stream.outputs.queued import Queued, Want
from stream.runner import run
from tests.support.command import running, start, wait_for
from tests.support.sinks import Collected
from tests.support.sounds import make
from tests.support.toy_models import toy_bytes, toy_file

RULES = DetectorSpec(default=ClassRule(threshold=0.3, min_on=0.03, min_off=0.05))
GROUPS = DerivedSpec(groups={"any": ("speech", "music", "noise")}, loud=-60)


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(toy_bytes())


class Told(Collected):
    OPTIONS: ClassVar = ()
    WANTS: ClassVar[frozenset[Want]] = frozenset({"event"})
    WRITES_SOUND = False

    def assert_ended(self, at_least: int = 2) -> None:
        events: list[Event] = [event for each in self.of("result") for event in each.events]
        onsets = [event.id for event in events if event.offset is None]
        ends = [event.id for event in events if event.offset is not None]
        assert len(onsets) >= at_least
        assert sorted(onsets) == sorted(ends)
        assert {"any", "loud"} <= {event.label for event in events}
        assert self.closings == 1


class Breaking(ArraySource):
    """Sound that ends in an error in the middle of everything."""

    error: BaseException = SourceError("the cable is out")

    def __iter__(self) -> Iterator[Chunk]:
        for number, chunk in enumerate(super().__iter__()):
            if number == 100:
                raise self.error
            yield chunk


def source(kind: type[ArraySource] = Breaking) -> ArraySource:
    return kind(make("speech", 16000, 2.0), 16000, block_samples=160)


def listener(model: Model) -> StreamClassifier:
    return StreamClassifier(model, RULES, derived=GROUPS)


def around() -> dict[str, Callable[[Told], Any]]:
    return {
        "bare": lambda sink: sink,
        "queued": Queued,
        "outputs": lambda sink: Outputs([(sink, "told", "")]),
    }


@pytest.mark.parametrize("way", around())
@pytest.mark.parametrize("error", [SourceError("gone"), RuntimeError("a bug"), KeyboardInterrupt()], ids=repr)
def test_a_source_that_raises(model: Model, way: str, error: BaseException) -> None:
    told = Told()
    broken = source()
    broken.error = error  # type: ignore[attr-defined]
    with pytest.raises(type(error)):
        run(broken, listener(model), [around()[way](told)])
    told.assert_ended()


def test_a_source_that_ends_or_is_closed(model: Model) -> None:
    whole, closed = Told(), Told()
    run(source(ArraySource), listener(model), [whole])
    whole.assert_ended()

    class Closing(Told):
        def chunk(self, chunk: Chunk) -> None:
            if chunk.start > 16000:
                stopped.close()

    stopped = source(ArraySource)
    closing = Closing()
    run(stopped, listener(model), [closing, Queued(closed)])
    closing.assert_ended()
    closed.assert_ended()


def test_a_model_that_goes_wrong(model: Model) -> None:
    """Also where it goes on being wrong when the end is asked for."""

    class Wrong(StreamClassifier):
        def push(self, sound: Any) -> Result:
            if self.end > 16000:
                self._engine.run = lambda features: np.full((len(features), 3), np.nan, np.float32)  # type: ignore[method-assign]
            return super().push(sound)

        def flush(self) -> Result:
            raise ModelError("still wrong")

    told = Told()
    with pytest.raises(ModelError, match="not a probability"):
        run(source(ArraySource), Wrong(model, RULES, derived=GROUPS), [told])
    told.assert_ended()


def test_a_sink_that_raises_takes_no_end_from_the_others(model: Model) -> None:
    class Bad(Told):
        def result(self, result: Result) -> None:
            if result.end > 16000:
                raise OSError("full")

    before, after = Told(), Told()
    with pytest.raises(OSError, match="full"):
        run(source(ArraySource), listener(model), [before, Bad(), after])
    before.assert_ended()
    after.assert_ended()

    class AtTheEnd(Told):
        def result(self, result: Result) -> None:
            if any(event.cut for event in result.events):
                raise OSError("full at the end")

    first, second = Told(), Told()
    broken = source()
    with pytest.raises(SourceError):
        run(broken, [listener(model), listener(model)], [AtTheEnd(), first])
    assert (
        sum(len(each.events) for each in first.of("result")) % 4 == 0
    )  # of both classifiers, begun and ended
    with pytest.raises(OSError, match="at the end"):
        run(source(ArraySource), listener(model), [AtTheEnd(), second])
    second.assert_ended()


def test_an_output_whose_peer_comes_back_late(model: Model) -> None:
    class Late(Told):
        tries = 0

        def result(self, result: Result) -> None:
            self.tries += 1
            if self.tries < 2:
                raise TryAgain("not yet")
            super().result(result)

    late = Late()
    with pytest.raises(SourceError):
        run(source(), listener(model), [Outputs([(late, "late", "")])])
    late.assert_ended()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_program_that_is_stopped(number: int, tmp_path: Path) -> None:
    """A real one, with groups, in front of two outputs."""
    toy_file(tmp_path)
    child = start(
        *("--model", "toy.onnx", "--input", "sim:tone?level=-10", "--history", "h.db", "--labels", "all.txt"),
        *(
            "--jsonl",
            "out.jsonl",
            "--onsets",
            "--loud",
            "-30",
            "--group",
            "any=speech,music,noise",
            "--threshold",
            "0.2",
        ),
        cwd=tmp_path,
    )
    with running(child):
        lines = tmp_path / "out.jsonl"

        def begun() -> bool:
            return lines.exists() and '"loud"' in lines.read_text()

        wait_for(begun, "the onset of what does not end by itself", child)
        child.send_signal(number)
        assert child.wait(20) == 0
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    begun_ids = {record["id"] for record in records if record["type"] == "onset"}
    assert begun_ids == {record["id"] for record in records if record["type"] == "event"}
    labels = (tmp_path / "all.txt").read_text()
    assert len(labels.splitlines()) == len(begun_ids)
    assert "loud" in labels
    with closing(sqlite3.connect(tmp_path / "h.db")) as rows:
        assert rows.execute("select count(*) from events").fetchone()[0] == len(begun_ids)
        assert rows.execute("select count(*) from events where offset_sample is null").fetchone()[0] == 0
