"""Clips: the sound of each event, to the sample, whatever becomes of the source, the disk and the writer."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import mutagen.flac
import numpy as np
import pytest
import soundfile

from stream.capture.history import SoundHistory
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import OutputError, UsageError
from stream.messages import Chunk, Event, SourceInfo, Status
from stream.outputs import clips as clips_module
from stream.outputs.acting import Acting
from stream.outputs.acting_rule import ActingRule
from stream.outputs.clip_record import ClipRecord, read_clip_record, safe_name, stream_stamp
from stream.outputs.clips import Clips
from stream.outputs.flac import HIGHEST_RATE
from stream.outputs.output import OutputContext
from stream.outputs.records import Origin
from tests.outputs.test_outputs import NOON, UPTIME, result
from tests.support.command import stream_classify
from tests.support.disk import small_disk

MODEL_RATE = 16_000
RULE = ClassRule(min_on=0.1, min_off=0.2, smoothing=0.0)
STEP = 1 / 32_768


class Room:
    """A source at ``rate``, the run's history of it, and the output: driven a tenth of a second at a time.

    ``sound`` is everything that was captured, by absolute index.
    """

    def __init__(self, folder: Path, rate: int = 48_000, *, live: bool = True, **options: Any) -> None:
        settings: dict[str, Any] = {"pre_roll": 0.5, "post_roll": 0.25, "keep": None} | options
        self.rate, self.live = rate, live
        self.context = OutputContext(
            origin=Origin("mic", "toy", "0" * 64),
            source=SourceInfo("mic", rate),
            labels=("dog",),
            detector=DetectorSpec(default=RULE),
            sample_rate=MODEL_RATE,
            wall=lambda: NOON,
            monotonic=lambda: UPTIME,
        )
        self.clips = Clips(self.context, clips=str(folder), **settings)
        self.history = SoundHistory(rate, self.clips.history_seconds)
        self.sound = np.zeros(0, np.float32)
        self.seconds = 0.0
        self._random = np.random.default_rng(7)

    def hear(self, seconds: float, *, told: bool = True, missing: bool = False) -> None:
        """Sound comes in; the output is told, unless it is stalled."""
        for _ in range(round(seconds * 10)):
            steps = self._random.integers(-16_000, 16_000, self.rate // 10)
            block = (steps * STEP).astype(np.float32)
            if missing:
                block[:] = np.nan
            self.history.append(Chunk(block, len(self.sound), self.rate))
            self.sound = np.concatenate([self.sound, block])
            self.seconds += 0.1
            if told:
                self.tell()

    def tell(self, *events: Event) -> None:
        end = round(self.seconds * MODEL_RATE)
        captured_at = UPTIME if self.live else None
        self.clips.result(result(*events, end=end, captured_at=captured_at, sound=self.history))

    def event(self, number: int, onset: float, offset: float | None = None, **changes: Any) -> None:
        """An event begins or ends, at these seconds."""
        fields: dict[str, Any] = {"label": "dog", "peak": 0.5 if offset is None else 0.9, "mean": 0.5}
        end = None if offset is None else round(offset * MODEL_RATE)
        now = round(self.seconds * MODEL_RATE)
        fields |= {
            "onset": round(onset * MODEL_RATE),
            "offset": end,
            "sample_rate": MODEL_RATE,
            "decided": now,
        }
        self.tell(Event(number, **(fields | changes)))

    def at(self, begin: float, end: float) -> np.ndarray:
        return np.nan_to_num(self.sound[round(begin * self.rate) : round(end * self.rate)])


def whole_files(folder: Path) -> list[Path]:
    """All files of the folder, each of which must be a whole clip."""
    return sorted(folder.iterdir())


def only(folder: Path) -> tuple[np.ndarray, int, ClipRecord]:
    (path,) = whole_files(folder)
    samples, rate = soundfile.read(path, dtype="float32")
    record = read_clip_record(path)
    assert record is not None
    assert record.duration == pytest.approx(len(samples) / rate, abs=1e-6)
    return samples, rate, record


def same(samples: np.ndarray, expected: np.ndarray) -> None:
    assert samples.shape == expected.shape
    np.testing.assert_allclose(samples, expected, atol=STEP)


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_an_event_with_what_was_before_and_after_it(rate: int, tmp_path: Path) -> None:
    room = Room(tmp_path, rate)
    room.hear(2.0)
    room.event(3, 1.5)
    room.hear(1.0)
    assert not list(tmp_path.glob("*.flac"))  # nothing yet under its name
    room.event(3, 1.5, 2.7)
    assert len(list(tmp_path.glob("*.flac"))) == 1  # its post-roll has been heard already
    samples, found, record = only(tmp_path)
    assert found == rate
    same(samples, room.at(1.0, 2.95))
    assert (record.start, record.event_start, record.event_end) == (1.0, 0.5, pytest.approx(1.7, abs=1e-4))
    assert (record.silence, record.silent_seconds, record.note) == ((), 0.0, "")
    assert (record.event.id, record.event.label, record.event.peak) == (3, "dog", 0.9)
    assert record.event.source == "mic"


def test_the_name_and_the_tags_as_others_read_them(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.hear(2.0)
    room.event(0, 1.5, label='Dög / "bark"')
    room.event(0, 1.5, 1.7, label='Dög / "bark"', peak=0.876)
    room.clips.close()
    (path,) = whole_files(tmp_path)
    assert path.name == "20260921T141319.750Z_Dög-bark_0.88.flac"  # half a second before noon
    tags = mutagen.flac.FLAC(path)
    assert tags["title"] == ['Dög / "bark"']
    assert tags["date"] == ["2026-09-21T14:13:19.750Z"]
    record = json.loads(tags["comment"][0])
    assert record["type"] == "clip"
    assert record["event"]["label"] == 'Dög / "bark"'
    assert record["event"]["duration"] == 0.2


def test_a_recording_has_stream_time_in_its_names(tmp_path: Path) -> None:
    room = Room(tmp_path, live=False)
    room.hear(2.0)
    room.event(0, 1.5)
    room.event(0, 1.5, 1.7)
    room.clips.close()
    assert [path.name for path in whole_files(tmp_path)] == ["mic_00h00m01.500s_dog_0.90.flac"]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("a/b", "a-b"),
        ("..", "sound"),
        ("", "sound"),
        ("a_b\n\0", "a-b"),
        ("犬", "犬"),
        ("x" * 300, "x" * 80),
        ("\ud800", "sound"),
    ],
)
def test_any_label_makes_a_safe_name(label: str, name: str) -> None:
    assert safe_name(label) == name
    assert len(safe_name("犬" * 300).encode()) <= 80


def test_stream_time_as_text() -> None:
    assert stream_stamp("a/talk one.flac", 3723.0625) == "talk-one_01h02m03.062s"


def test_there_is_no_sound_before_the_first(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.hear(1.0)
    room.event(0, 0.2)
    room.event(0, 0.2, 0.5)
    samples, _, record = only(tmp_path)
    same(samples, room.at(0.0, 0.75))
    assert (record.start, record.event_start) == (0.0, 0.2)


def test_overlapping_events_have_a_clip_each(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.hear(1.0)
    room.event(0, 0.8)
    room.event(1, 0.9, label="cat")
    room.hear(1.0)
    room.event(1, 0.9, 1.2, label="cat")
    room.hear(1.0)
    room.event(0, 0.8, 2.5)
    room.hear(1.0)
    cat, dog = (
        soundfile.read(next(tmp_path.glob(f"*{name}*")), dtype="float32")[0] for name in ("cat", "dog")
    )
    same(cat, room.at(0.4, 1.45))
    same(dog, room.at(0.3, 2.75))


def test_a_long_event_is_written_while_it_is_on(tmp_path: Path) -> None:
    room = Room(tmp_path, 8000)
    room.hear(1.0)
    room.event(0, 0.9)
    room.hear(90.0)  # more than any history holds
    (draft,) = tmp_path.iterdir()
    assert draft.stat().st_size > 85 * 8000
    room.event(0, 0.9, 90.0)
    room.hear(1.0)
    samples, _, record = only(tmp_path)
    same(samples, room.at(0.4, 90.25))
    assert record.silence == ()


def test_gaps_are_silent_and_said(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.hear(1.0)
    room.event(0, 0.9)
    room.hear(0.5, missing=True)
    room.hear(1.0)
    room.event(0, 0.9, 2.0)
    room.clips.close()
    samples, _, record = only(tmp_path)
    same(samples, room.at(0.4, 2.25))
    assert [(s.start, s.duration, s.reason) for s in record.silence] == [(0.6, 0.5, "gap")]
    assert record.silent_seconds == 0.5
    (path,) = whole_files(tmp_path)
    assert "0.50 s of it are silence" in mutagen.flac.FLAC(path)["description"][0]


def test_what_a_stalled_writer_missed_is_silent_and_said(tmp_path: Path) -> None:
    room = Room(tmp_path, 8000)
    room.hear(1.0)
    room.event(0, 0.9)
    room.hear(60.0, told=False)
    room.hear(0.5)
    room.event(0, 0.9, 61.0)
    room.hear(1.0)
    samples, rate, record = only(tmp_path)
    assert len(samples) == round((61.25 - 0.4) * rate)
    (hole,) = record.silence
    assert hole.reason == "late"
    kept = room.clips.history_seconds
    assert hole.start + hole.duration == pytest.approx(61.1 - kept - 0.4, abs=0.11)
    late = slice(round(hole.start * rate), round((hole.start + hole.duration) * rate))
    assert not samples[late].any()
    expected = room.at(0.4, 61.25).copy()
    expected[late] = 0
    same(samples, expected)


def test_an_event_whose_beginning_was_never_told_has_its_clip(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.hear(2.0)
    room.event(0, 1.0, 1.2)
    samples, _, _ = only(tmp_path)
    same(samples, room.at(0.5, 1.45))


def test_at_the_end_clips_are_completed_with_what_there_is(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.hear(2.0)
    room.event(0, 1.0)
    room.event(1, 1.5, label="cat")
    room.event(1, 1.5, 1.9, label="cat")
    room.clips.close()
    room.clips.close()
    cat, dog = (next(tmp_path.glob(f"*{name}*.flac")) for name in ("cat", "dog"))
    assert len(whole_files(tmp_path)) == 2
    same(soundfile.read(cat, dtype="float32")[0], room.at(1.0, 2.0))
    same(soundfile.read(dog, dtype="float32")[0], room.at(0.5, 2.0))
    record = read_clip_record(dog)
    assert record is not None
    assert (record.note, record.event_end) == ("no more sound came", None)


def test_while_the_source_is_gone_a_clip_does_not_wait(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.hear(2.0)
    room.event(0, 1.0)
    room.clips.status(Status("recovering", len(room.sound), room.rate))
    room.tell()
    assert not list(tmp_path.glob("*.flac"))  # its event is on
    room.event(0, 1.0, 1.95, cut=True)
    samples, _, record = only(tmp_path)
    same(samples, room.at(0.5, 2.0))
    assert record.note == "no more sound came"


def test_a_source_that_comes_back_at_another_rate(tmp_path: Path) -> None:
    room = Room(tmp_path, 48_000)
    room.hear(2.0)
    room.event(0, 1.0)
    before = room.at(0.5, 2.0)
    room.rate, room.history = 8000, SoundHistory(8000, 30)
    room.sound = np.zeros(16_000, np.float32)
    room.history.append(Chunk(np.zeros(0, np.float32), 16_000, 8000))
    room.hear(1.0)
    room.event(0, 1.0, 2.5)
    samples, rate, record = only(tmp_path)
    assert rate == 48_000
    same(samples, before)
    assert record.note == "the source changed its rate"
    room.event(1, 2.6)
    room.event(1, 2.6, 2.7)
    (path,) = [path for path in whole_files(tmp_path) if path.stat().st_size < 20_000]
    same(soundfile.read(path, dtype="float32")[0], room.at(2.1, 2.95))


def test_others_find_the_clip_when_it_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    room = Room(Path("."))
    assert room.context.clips.expected
    room.hear(2.0)
    room.event(7, 1.0)
    asked = Event(7, "dog", 0, None, 0.5, 0.5, 16_000, 0)
    assert room.context.clips.get(result(), asked) is None
    room.event(7, 1.0, 1.2)
    assert room.context.clips.get(result(), asked) == whole_files(tmp_path)[0]
    room.clips.close()
    assert not room.context.clips.expected


def test_others_learn_that_a_rule_keeps_an_event_from_it(tmp_path: Path) -> None:
    room = Room(tmp_path)
    rule = ActingRule(classes=frozenset({"cat"}))
    acting = Acting(room.clips, room.context, name="clips", rule=rule)  # type: ignore[arg-type]
    room.hear(1.0)
    begins, ends = (Event(0, "dog", 8000, offset, 0.9, 0.9, MODEL_RATE, 9000) for offset in (None, 9000))
    told = result(begins, end=16_000, captured_at=UPTIME, sound=room.history)
    acting.result(told)
    begin = time.monotonic()
    assert room.context.clips.wait(told, ends, 60.0) is None
    assert time.monotonic() - begin < 30.0  # at once
    assert acting.held_back == 1
    assert not list(tmp_path.glob("*.flac"))


def test_a_clip_whose_end_was_dropped_does_not_grow_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips_module, "UNTOLD_SECONDS", 2.0)
    room = Room(tmp_path, 8000)
    acting = Acting(room.clips, room.context, name="clips", rule=ActingRule())  # type: ignore[arg-type]
    room.hear(2.0)
    room.event(0, 1.5)
    room.hear(1.0)
    acting.missed(3)  # as the queue says it
    room.hear(1.0)
    acting.missed(1)  # the first time counts
    assert not list(tmp_path.glob("*.flac"))
    room.hear(3.0)
    samples, _, record = only(tmp_path)
    same(samples, room.at(1.0, 5.0))
    assert record.note == "nobody said that the event has ended"
    assert record.event_end is None
    room.event(0, 1.5, 6.0)  # it was not lost after all
    room.event(1, 6.5)
    room.event(1, 6.5, 6.6)
    room.clips.close()
    assert len(whole_files(tmp_path)) == 2


def test_a_full_disk_is_counted_and_leaves_no_half_files(tmp_path: Path) -> None:
    with small_disk(tmp_path, 1024):
        room = Room(tmp_path, pre_roll=0.5)
        room.hear(2.0)
        room.event(0, 1.5)
        room.event(0, 1.5, 1.6)
        filler = tmp_path / "filler"
        filler.write_bytes(bytes(1024 * 700))
        room.hear(1.0)
        room.event(1, 2.8)
        with pytest.raises(OutputError, match="No space left"):
            room.hear(5.0)
        room.seconds = len(room.sound) / room.rate
        room.event(1, 2.8, 3.0)  # is not counted a second time
        filler.unlink()
        room.hear(1.0)
        room.event(2, room.seconds - 0.2)
        room.event(2, room.seconds - 0.2, room.seconds - 0.1)
        room.clips.close()
        files = whole_files(tmp_path)
        assert [path.suffix for path in files] == [".flac"] * 2
        assert all(len(soundfile.read(path)[0]) for path in files)
        gone = Event(1, "dog", 0, None, 0.5, 0.5, 16_000, 0)
        assert room.context.clips.wait(result(), gone, 30.0) is None


def test_too_many_at_a_time_are_refused_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips_module, "MOST_OPEN", 2)
    room = Room(tmp_path, 8000)
    room.hear(1.0)
    room.event(0, 0.5)
    room.event(1, 0.6)
    with pytest.raises(OutputError, match="2 events at a time"):
        room.event(2, 0.7)
    room.clips.close()
    assert len(whole_files(tmp_path)) == 2


def test_what_is_wrong_is_said_before_anything_is_heard(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="no sound can be written"):
        Room(tmp_path / "file")
    with pytest.raises(UsageError, match="--clips ''"):
        Clips(Room(tmp_path).context, clips=" ", pre_roll=1.0, post_roll=1.0, keep=None)
    with pytest.raises(OutputError, match="FLAC goes up to"):
        Room(tmp_path, HIGHEST_RATE + 1)


def test_without_a_history_it_says_so(tmp_path: Path) -> None:
    clips = Room(tmp_path).clips
    with pytest.raises(OutputError, match="history_seconds"):
        clips.result(result(Event(0, "dog", 0, None, 0.5, 0.5, 16_000, 0)))


def test_the_command_line_keeps_every_event_of_a_recording_read_fast(tmp_path: Path) -> None:
    done = stream_classify("--demo", "--fast", "--clips", "clips", "--keep", "1GB", "--jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    events = [json.loads(line) for line in done.stdout.splitlines()]
    events = [event for event in events if event["type"] == "event"]
    records = [read_clip_record(path) for path in whole_files(tmp_path / "clips")]
    assert len(events) > 3
    key = "onset_sample"
    assert sorted(record.event.onset_sample for record in records if record) == sorted(e[key] for e in events)
    assert all(record and not record.silence and not record.note for record in records)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--clips", "x", "--pre-roll", "-1"], "--pre-roll"),
        (["--clips", "x", "--keep", "much"], "--keep much: want an age"),
        (["--clips", ""], "--clips ''"),
        (["--keep", "7d"], "--keep belongs to --clips: add that, or leave it out"),
        (["--clips", "/dev/null/x"], "/dev/null/x: no sound can be written"),
    ],
)
def test_wrong_values(words: list[str], message: str, tmp_path: Path) -> None:
    done = stream_classify("--demo", "--fast", *words, cwd=tmp_path)
    assert done.returncode in (2, 7)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_told_rarely_or_often_the_clip_is_the_same(tmp_path: Path) -> None:
    for told in (True, False):
        room = Room(tmp_path / str(told))
        room.hear(1.0)
        room.event(0, 0.5)
        room.hear(3.0, told=told)
        room.event(0, 0.5, 3.2)
        room.hear(0.5)
        same(only(tmp_path / str(told))[0], room.at(0.0, 3.45))
