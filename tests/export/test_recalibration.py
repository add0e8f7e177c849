"""Rules for a budget of false alarms: budgets, promises, scores on disk, what is heard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from export.calibration import HeardStream, heard_events
from export.data.recording import Interval
from export.recalibration.budget_text import parse_budget
from export.recalibration.det import curve, thinned
from export.recalibration.hearing import about, hear_files, hear_source, negative_files
from export.recalibration.promise import Promise, allowed_count
from export.recalibration.recalibrate import recalibrate
from export.recalibration.score_store import About, ScoreStore, rounded_up
from stream import Model
from stream.capture.opening import open_source
from stream.capture.source import ArraySource
from stream.decisions.poisson import upper_bound
from stream.decisions.spec import ClassRule
from stream.errors import DataError, SpecError, UnreadableAudio
from stream.installation import asset
from stream.messages import Chunk, Scores
from tests.support.toy_models import toy_card

ABOUT = About(model="0", labels=("a", "b"), sample_rate=16000, hop=160, lag=200)
DEMO = str(asset("demo.ogg"))


@pytest.mark.parametrize(
    ("text", "per_hour", "said"),
    [("1/day", 1 / 24, "1 a day"), ("0.5/h", 0.5, "0.5 an hour"), (" 2 / WEEK", 2 / 168, "2 a week")],
)
def test_a_budget_is_a_number_and_a_unit(text: str, per_hour: float, said: str) -> None:
    budget = parse_budget(text)
    assert budget.per_hour == pytest.approx(per_hour)
    assert str(budget) == said


@pytest.mark.parametrize(
    "text", ["", "1", "/day", "1/month", "-1/day", "nan/day", "1e3/day", "0/day", "1e9/h", "7200/h"]
)
def test_what_is_no_budget_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SpecError, match=r"1/(day|week)"):
        parse_budget(text)


def test_hours_promise_what_a_poisson_count_allows() -> None:
    day = parse_budget("1/day")
    assert Promise(day, 0, 8.0, 1).sentence() == (
        "8 h without a false alarm promise at most 9 a day, not 1 a day: that would take 71.9 h without one"
    )
    assert Promise(day, 0, 72.0, 1).kept
    assert not Promise(day, 1, 72.0, 1).kept
    assert "no rule that was tried is quieter" in Promise(day, 40, 8.0, 1).sentence()
    assert Promise(day, 0, 0.0, 1).at_most_per_hour == np.inf


def test_every_class_that_was_chosen_costs_a_part_of_the_promise() -> None:
    one, three = (Promise(parse_budget("1/day"), 0, 100.0, chosen) for chosen in (1, 3))
    assert three.at_most_per_hour == pytest.approx(upper_bound(2, 100.0))
    assert one.kept
    assert not three.kept


@pytest.mark.parametrize("hours", [0.2, 8.0, 100.0, 5000.0])
def test_what_is_allowed_is_the_most_that_keeps_the_promise(hours: float) -> None:
    budget = parse_budget("1/h")
    count = allowed_count(budget, hours, 2)
    assert Promise(budget, count, hours, 2).kept or count == 0
    assert not Promise(budget, count + 1, hours, 2).kept


def test_levels_just_above_what_was_heard_are_exceeded_no_more_often_than_promised() -> None:
    """Classes whose every event has a random height, each with the level that hears none of them: new hours hear more
    than the promise no more often than one time in twenty."""
    rng = np.random.default_rng(0)
    classes, rate, broken, trials = 3, 50.0, 0, 4000
    for _ in range(trials):
        # heights are uniform: the rate above a level is rate * (1 - level)
        levels = [rng.random(rng.poisson(rate)).max(initial=0.0) for _ in range(classes)]
        true_rate = sum(rate * (1 - level) for level in levels)
        broken += true_rate > Promise(parse_budget("1/h"), 0, 1.0, classes).at_most_per_hour
    assert broken / trials < 0.06


def rows(first: int, *values: float, warm: bool = True) -> Scores:
    probs = np.array([(v, 1 - v) for v in values], np.float32)
    samples = first + 160 * np.arange(len(probs), dtype=np.int64)
    return Scores(probs, samples, np.full(len(probs), warm), ("a", "b"), 16000, 160)


def test_stored_scores_are_never_lower_and_hardly_higher() -> None:
    probs = np.random.default_rng(0).random((5000, 3)).astype(np.float32)
    probs[0] = (0, 1, 1 + 1e-7)
    stored = rounded_up(probs).astype(np.float64)
    assert (stored >= np.minimum(probs, 1)).all()
    assert (stored - probs).max() < 1e-3
    assert stored.max() == 1
    assert stored[0, 0] == 0


def test_a_gap_is_not_listened_to_and_parts_the_runs(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path / "x.heard", ABOUT, resume=False)
    with store.begin("mic", live=True) as part:
        part.add(rows(200, 0.9, 0.9, warm=False))
        part.add(rows(520, 0.25, 0.5))
        part.add(rows(840, 0.75))
        part.add(rows(57_600_840, 0.125))
    first, second = store.streams()
    assert first.probs[:, 0].tolist() == [0.25, 0.5, 0.75]
    assert first.samples.tolist() == [520, 680, 840]
    assert second.samples.tolist() == [57_600_840]
    assert store.hours == pytest.approx(4 * 160 / 16000 / 3600)
    assert sum(stream.hours for stream in store.streams()) == pytest.approx(store.hours)


def test_a_part_that_was_cut_off_is_read_to_its_last_whole_row(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path / "x.heard", ABOUT, resume=False)
    with store.begin("mic", live=True) as part:
        part.add(rows(0, 0.25, 0.5, 0.75))
    (path,) = store.parts
    with open(path, "ab") as file:
        file.write(b"\0")
    with open(path.with_suffix(".runs"), "ab") as file:
        file.write(b"3 99")
    again = ScoreStore(tmp_path / "x.heard", ABOUT, resume=True)
    assert again.streams()[0].probs[:, 0].tolist() == [0.25, 0.5, 0.75]
    with again.begin("mic", live=True) as part:
        part.add(rows(0, 1.0))
    assert again.rows == 4


def test_files_count_when_they_were_heard_to_the_end(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path / "x.heard", ABOUT, resume=False)
    with store.begin("live", live=True) as part:
        part.add(rows(0, 0.5))
    with store.begin("a.wav", live=False) as part:
        part.add(rows(0, 0.25, 0.25))
    assert store.rows == 1
    assert ScoreStore(tmp_path / "x.heard", ABOUT, resume=True).rows == 1
    assert len(list((tmp_path / "x.heard").glob("*.scores"))) == 1


def test_scores_of_another_model_or_without_resume_are_refused(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path / "x.heard", ABOUT, resume=False)
    ScoreStore(tmp_path / "x.heard", ABOUT, resume=False)  # nothing was heard yet
    with store.begin("mic", live=True) as part:
        part.add(rows(0, 0.5))
    with pytest.raises(DataError, match="--resume, or delete it"):
        ScoreStore(tmp_path / "x.heard", ABOUT, resume=False)
    with pytest.raises(DataError, match="another model"):
        ScoreStore(tmp_path / "x.heard", msgspec.structs.replace(ABOUT, model="1"), resume=True)
    (tmp_path / "x.heard" / "00001.runs").write_bytes(b"1 0\n")
    with pytest.raises(DataError, match="damaged"):
        store.streams()


def heard(probs: np.ndarray, truth: tuple[Interval, ...], kind: str) -> HeardStream:
    samples = 200 + 320 * np.arange(len(probs), dtype=np.int64)
    return HeardStream(probs.astype(np.float32), samples, 16000, 320, 200, len(probs) * 320, truth, kind)


def babble(rng: np.random.Generator, hours: float, height: float) -> HeardStream:
    """A burst of the first class every minute, of up to ``height``."""
    probs = rng.uniform(0, 0.1, (round(hours * 180_000), 3))
    for begin in range(100, len(probs) - 50, 3000):
        probs[begin : begin + 40, 0] = height * rng.uniform(0.8, 1)
    return heard(probs, (), "heard")


def test_without_recordings_the_level_rises_and_the_rule_stays_in_shape() -> None:
    rule = ClassRule(threshold=0.4, release=0.2, peak_threshold=0.5, min_on=0.2, min_off=0.5, smoothing=0.1)
    card = toy_card()
    card = msgspec.structs.replace(
        card, detector=msgspec.structs.replace(card.detector, classes={"speech": rule})
    )
    quiet = babble(np.random.default_rng(0), 8.0, 0.85)
    found = recalibrate(card, [quiet], [], parse_budget("1/h"), ("speech",))
    new = found.rules.rule("speech")
    assert found.before.classes["speech"].false["heard"] > 400
    assert found.promise.count == 0
    assert found.promise.kept
    assert new.peak_threshold is not None
    assert 0.85 < new.peak_threshold <= 0.95
    assert (new.threshold / new.peak_threshold, new.off_threshold / new.threshold) == pytest.approx(
        (0.8, 0.5)
    )
    assert (new.min_on, new.min_off, new.smoothing) == (0.2, 0.5, 0.1)
    assert found.rules.rule("music") == card.detector.rule("music")


def test_a_rule_that_keeps_the_budget_stays_as_it_is() -> None:
    card = toy_card()
    quiet = babble(np.random.default_rng(0), 8.0, 0.2)
    found = recalibrate(card, [quiet], [], parse_budget("1/h"), card.labels)
    assert found.promise.kept
    for label in card.labels:
        assert found.rules.rule(label) == card.detector.rule(label)


def test_scores_that_are_sure_of_everything_are_kept_out_by_time() -> None:
    card = toy_card()
    probs = np.zeros((180_000, 3))
    for begin in range(100, 179_000, 3000):
        probs[begin : begin + 6, 0] = 1.0
    found = recalibrate(card, [heard(probs, (), "heard")], [], parse_budget("10/h"), ("speech",))
    assert found.rules.rule("speech").min_on > 0.12
    assert found.promise.count == 0


def test_with_recordings_the_table_says_what_a_budget_costs() -> None:
    """Half of the events are as high as the babble: a rule that keeps the budget misses them."""
    rng = np.random.default_rng(0)
    probs, truth = rng.uniform(0, 0.1, (20_000, 3)), []
    for number, begin in enumerate(range(200, 19_000, 1000)):
        probs[begin : begin + 50, 0] = 0.99 if number % 2 else 0.75
        truth.append(Interval("speech", begin * 0.02, (begin + 50) * 0.02))
    own = heard(probs, tuple(truth), "own")
    card = toy_card()
    negatives = babble(rng, 4.0, 0.85)
    tight = recalibrate(card, [negatives], [own], parse_budget("1/h"), ("speech",))
    counts = tight.after.classes["speech"]
    assert tight.before.classes["speech"].found == counts.events
    assert counts.found == counts.events // 2
    assert tight.promise.kept
    assert [e.label for e in heard_events(negatives, card.labels, tight.rules) if e.label == "speech"] == []
    points = curve(tight.curves["speech"], counts.events, tight.rules.rule("speech"))
    assert sum(point.chosen for point in points) == 1
    assert [p.false for p in points] == sorted(p.false for p in points)
    assert max(p.found for p in points) > counts.found
    assert any(p.chosen for p in thinned(points, 3))
    loose = recalibrate(card, [negatives], [own], parse_budget("100/h"), ("speech",))
    assert loose.after.classes["speech"].found == counts.events


def test_files_of_the_classes_are_no_negatives(tmp_path: Path) -> None:
    for name in ("rain/1.wav", "music/2.wav", "3.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, np.zeros(1600), 16000)
    files, left_out = negative_files([str(tmp_path), str(tmp_path / "3.wav")], ("music",))
    assert [file.name for file in files] == ["3.wav", "1.wav"]
    assert left_out == 1
    with pytest.raises(DataError, match="all 1 recordings are of"):
        negative_files([str(_only(tmp_path))], ("music",))
    with pytest.raises(UnreadableAudio, match="no such file"):
        negative_files([str(tmp_path / "4.wav")], ())


def _only(tmp_path: Path) -> Path:
    folder = tmp_path / "music" / "more"
    (folder / "music").mkdir(parents=True)
    soundfile.write(folder / "music" / "2.wav", np.zeros(1600), 16000)
    return folder


def test_a_file_that_breaks_is_said_and_the_rest_is_heard(tmp_path: Path) -> None:
    model = Model.bundled("small")
    soundfile.write(tmp_path / "good.wav", np.zeros(32000), 16000)
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    store = ScoreStore(tmp_path / "x.heard", about(model), resume=False)
    notes = hear_files(store, model, [tmp_path / "bad.wav", tmp_path / "good.wav"], 1.0, lambda _: None)
    assert [path.name for path, _ in notes] == ["bad.wav"]
    assert store.hours == pytest.approx(2 / 3600, rel=0.1)
    heard_before = store.rows
    assert not hear_files(store, model, [tmp_path / "good.wav"], 1.0, lambda _: None)
    assert store.rows == heard_before


def test_a_device_that_is_gone_is_not_listened_to(tmp_path: Path) -> None:
    model = Model.bundled("small")
    store = ScoreStore(tmp_path / "x.heard", about(model), resume=False)
    told: list[float] = []
    with open_source(f"sim:{DEMO}?unplug@20s&for=600s&loop=forever", fast=True) as source:
        hear_source(store, model, source, 100 / 3600, told.append)
    assert store.hours == pytest.approx(100 / 3600, rel=0.01)
    assert told == sorted(told)
    first, *more = store.streams()
    assert 15 < first.hours * 3600 < 25
    assert more
    gone = more[0].samples[0] - first.samples[-1]
    assert gone > 599 * model.card.features.sample_rate


class Muted(ArraySource):
    """Ten seconds of which the middle is a flat line, and known for it."""

    def __init__(self) -> None:
        noise = np.random.default_rng(0).uniform(-0.1, 0.1, 160_000).astype(np.float32)
        noise[64_000:96_000] = 0
        super().__init__(noise, 16000, block_samples=1600)

    def _chunks(self) -> Iterator[Chunk]:
        for chunk in super()._chunks():
            flat = not chunk.samples.any()
            yield msgspec.structs.replace(chunk, state="silent" if flat else "listening")


def test_a_microphone_that_is_muted_promises_nothing(tmp_path: Path) -> None:
    model = Model.bundled("small")
    store = ScoreStore(tmp_path / "x.heard", about(model), resume=False)
    with Muted() as source:
        hear_source(store, model, source, 1.0, lambda _: None)
    assert store.hours * 3600 == pytest.approx(8, abs=0.3)
    assert len(store.streams()) == 2
