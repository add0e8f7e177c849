"""Outputs in programs: callbacks, outputs by their names, an async iterator, and an output of another package."""

from __future__ import annotations

import asyncio
import threading
import tomllib
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.attaching import attach_outputs
from stream.capture.source import ArraySource
from stream.classifier import StreamClassifier
from stream.decisions.derived import DerivedSpec
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import OutputError, SourceError, UsageError
from stream.inference.session import Model
from stream.messages import Chunk, Gap
from stream.outputs.acting_rule import ActingRules
from stream.outputs.callbacks import Callbacks
from stream.outputs.jsonl import JsonLines
from stream.outputs.records import Origin
from stream.runner import arun, run
from tests.support.command import ROOT, stream_classify
from tests.support.guides import blocks
from tests.support.sinks import Collected
from tests.support.sounds import make
from tests.support.toy_models import toy_bytes

RULES = DetectorSpec(default=ClassRule(threshold=0.3, min_on=0.03, min_off=0.05))
DEADLINE = 30.0


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(toy_bytes())


def source(seconds: float = 2.0) -> ArraySource:
    return ArraySource(make("speech", 16000, seconds), 16000, block_samples=160)


def test_callbacks_are_given_what_they_ask_for(model: Model, tmp_path: Path) -> None:
    begun: list[int] = []
    ended: list[int] = []
    gaps: list[Gap] = []
    rows: list[int] = []
    sound = make("speech", 16000, 2.0).copy()
    sound[8000:10000] = np.nan
    heard = Callbacks(
        on_onset=lambda event: begun.append(event.id),
        on_event=lambda event: ended.append(event.id),
        on_gap=gaps.append,
        on_result=lambda result: rows.append(len(result.scores)),
    )
    lines = JsonLines(tmp_path / "bare.jsonl", Origin("a", "b", "c"))
    summary = run(
        ArraySource(sound, 16000, block_samples=160),
        StreamClassifier(model, RULES),
        [heard, lines, Callbacks()],
    )
    assert sorted(begun) == sorted(ended) == list(range(summary.events))
    assert sum(rows) == summary.rows
    assert [gap.length for gap in gaps] == [2000]
    assert len((tmp_path / "bare.jsonl").read_text().splitlines()) == summary.events + 1


def test_what_a_callback_raises_ends_the_run(model: Model) -> None:
    def refuse(event: Any) -> None:
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        run(source(), StreamClassifier(model, RULES), [Callbacks(on_event=refuse)])


def test_outputs_by_their_names(model: Model, tmp_path: Path) -> None:
    sound = source()
    classifier = StreamClassifier(model, RULES, derived=DerivedSpec(groups={"any": ("speech", "music")}))
    rules = ActingRules(every={"classes": frozenset({"any"})})
    outputs = attach_outputs(
        sound, classifier, labels=[str(tmp_path / "a.txt"), str(tmp_path / "b.txt")], acting=rules
    )
    run(sound, classifier, [outputs])
    texts = {(tmp_path / name).read_text() for name in ("a.txt", "b.txt")}
    assert len(texts) == 1
    assert {line.split("\t")[2] for line in texts.pop().splitlines()} == {"any"}
    assert all(report.held_back for report in outputs.reports())
    off = attach_outputs(sound, classifier, labels=str(tmp_path / "off.txt"), acting=rules)
    assert off.switches.names == ("any", "labels")
    off.switches.set("any", False)
    classifier.reset()
    run(source(), classifier, [off])
    assert not (tmp_path / "off.txt").read_text()
    with pytest.raises(UsageError, match="did you mean 'labels'"):
        attach_outputs(sound, classifier, label="a.txt")
    with pytest.raises((UsageError, OutputError)):
        attach_outputs(sound, classifier, labels=str(tmp_path / "a.unknown"))


def test_arun_gives_what_run_gives_and_the_loop_goes_on(model: Model) -> None:
    told, alone = Collected(), Collected()
    run(source(), StreamClassifier(model, RULES), [alone])

    async def listen() -> list[Any]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticker = asyncio.ensure_future(tick())
        got = [result async for result in arun(source(), StreamClassifier(model, RULES), [told])]
        ticker.cancel()
        assert ticks > len(got) // 10
        return got

    got = asyncio.run(asyncio.wait_for(listen(), DEADLINE))
    assert len(got) == len(alone.of("result")) == len(told.of("result"))
    for mine, theirs in zip(got, alone.of("result"), strict=True):
        np.testing.assert_array_equal(mine.probs, theirs.probs)
        assert mine.events == theirs.events
    assert told.closings == 1
    assert threading.get_ident() not in told.threads


class Endless(ArraySource):
    """Sound that never ends, and then never comes, until it is closed."""

    def __init__(self, chunks: int) -> None:
        super().__init__(make("speech", 16000, 2.0), 16000, block_samples=160)
        self.left, self.taken, self.closed = chunks, 0, threading.Event()

    def __iter__(self) -> Iterator[Chunk]:
        for self.taken, chunk in enumerate(super().__iter__()):
            if self.taken >= self.left:
                self.closed.wait(DEADLINE)
                return
            yield chunk

    def close(self) -> None:
        self.closed.set()
        super().close()


def test_a_loop_that_is_left_or_cancelled_ends_events_and_closes_everything(model: Model) -> None:
    async def leave(sink: Collected, sound: Endless) -> None:
        async with aclosing(arun(sound, StreamClassifier(model, RULES), [sink])) as results:
            async for result in results:
                if result.end >= 16000:
                    break
        assert sound.taken <= 101  # nothing was taken ahead

    async def cancel(sink: Collected, sound: Endless) -> None:
        async def listen() -> None:
            async for _ in arun(sound, StreamClassifier(model, RULES), [sink]):
                pass

        task = asyncio.ensure_future(listen())
        while sound.taken < 150:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    for way in (leave, cancel):
        told, sound = Collected(), Endless(150)
        asyncio.run(asyncio.wait_for(way(told, sound), DEADLINE))
        events = [event for result in told.of("result") for event in result.events]
        assert sorted(e.id for e in events if e.offset is None) == sorted(e.id for e in events if e.offset)
        assert len(events) > 2
        assert sound.closed.is_set()
        assert told.closings == 1


def test_an_error_reaches_the_loop(model: Model) -> None:
    class Broken(ArraySource):
        def __iter__(self) -> Iterator[Chunk]:
            yield Chunk(np.zeros(1600, np.float32), 0, 16000)
            raise SourceError("gone")

    async def listen() -> None:
        async for _ in arun(Broken(np.zeros(1), 16000), StreamClassifier(model)):
            pass

    with pytest.raises(SourceError, match="gone"):
        asyncio.run(asyncio.wait_for(listen(), DEADLINE))


def test_the_output_in_the_guide_is_an_option_once_its_package_is_installed(tmp_path: Path) -> None:
    (example,) = [block for block in blocks("python") if "class Bell" in block.code]
    (entry,) = [block for block in blocks("text") if "stream_classify.outputs" in block.code]
    (tmp_path / "bell_output.py").write_text(example.code)
    info = tmp_path / "bell-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bell\nVersion: 1.0\n")
    ((group, entries),) = tomllib.loads(entry.code)["project"]["entry-points"].items()
    lines = "\n".join(f"{name} = {value}" for name, value in entries.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{lines}\n")
    path = f"{ROOT}:{tmp_path}"
    (tmp_path / "house.toml").write_text("bell = ['door', 'tower']\n[acting]\nclasses = 'music'\n")
    shown = stream_classify("--help", PYTHONPATH=path).stdout
    assert "--bell-volume N" in shown
    done = stream_classify(
        *("--demo", "--fast", "--settings", "house.toml", "--jsonl", "out.jsonl"),
        cwd=tmp_path,
        PYTHONPATH=path,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()) == {"door rings for music", "tower rings for music"}
    wrong = stream_classify("--demo", "--bell", "cracked", PYTHONPATH=path)
    assert (wrong.returncode, "does not ring" in wrong.stderr) == (2, True)
