"""A whole stream can be saved at any sample, moved to another process, and goes on to the bit; so does a model."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.classifier import StreamClassifier
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import SnapshotInvalid
from stream.inference.session import Model
from stream.messages import Chunk, Result
from stream.snapshot import pack, unpack
from tests.support.sounds import ASSETS, demo

ROOT = Path(__file__).resolve().parents[2]
RATE = 48000
SAVES = 200

# Reads a list of (packed snapshot, chunks) and writes what each stream gives from there on.
OTHER_PROCESS = """
import pickle, sys
from tests.classifier.test_snapshot import make, outcome
with open(sys.argv[1], "rb") as file:
    model, jobs = pickle.load(file)
from stream.snapshot import unpack
answers = []
for saved, chunks in jobs:
    classifier = make(model)
    classifier.restore(unpack(saved))
    answers.append(outcome([classifier.push(chunk) for chunk in chunks] + [classifier.flush()]))
with open(sys.argv[2], "wb") as file:
    pickle.dump(answers, file)
"""


def make(model: Model) -> StreamClassifier:
    return StreamClassifier(model, max_gap=0.5, stream="kitchen")


def outcome(results: list[Result]) -> dict[str, Any]:
    return {
        "probs": np.concatenate([r.probs for r in results]),
        "sample": np.concatenate([r.scores.sample for r in results]),
        "warm": np.concatenate([r.scores.warm for r in results]),
        "events": [e for r in results for e in r.events],
        "gaps": [g for r in results for g in r.gaps],
        "end": results[-1].end,
    }


def scene() -> list[Chunk]:
    """Half a minute of the demo at 48 kHz in chunks of odd sizes, with lost and invalid samples."""
    sound = demo(RATE)[: 30 * RATE].copy()
    rng = np.random.default_rng(1)
    for at in rng.integers(0, len(sound), 40):
        sound[at : at + int(rng.integers(1, 1500))] = np.nan
    chunks, at, lost = [], 0, 0
    while at < len(sound):
        size = int(rng.integers(1, 3000))
        if rng.random() < 0.01:
            lost += int(rng.integers(1, RATE))
        chunks.append(Chunk(sound[at : at + size], at + lost, RATE))
        at += size
    return chunks


def test_saved_here_and_restored_in_another_process(tmp_path: Path) -> None:
    """At 200 random chunks of a stream with gaps, invalid samples and a resampler, against one that never stopped."""
    model = Model.bundled("small")
    chunks = scene()
    rng = np.random.default_rng(3)
    places = set(rng.integers(0, len(chunks), 4 * SAVES).tolist())
    places = set(sorted(places)[:: max(1, len(places) // SAVES)])
    stream = make(model)
    jobs, results, seen = [], [], []
    for i, chunk in enumerate(chunks):
        if i in places:
            jobs.append((pack(stream.snapshot()), chunks[i : i + 40]))
            seen.append(i)
        results.append(stream.push(chunk))
    assert len(jobs) >= SAVES
    (tmp_path / "jobs").write_bytes(pickle.dumps((model, jobs)))
    subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS, str(tmp_path / "jobs"), str(tmp_path / "answers")],
        cwd=ROOT,
        check=True,
        timeout=200,
    )
    answers = pickle.loads((tmp_path / "answers").read_bytes())
    for i, answer in zip(seen, answers, strict=True):
        want = outcome(results[i : i + 40])
        for name in ("probs", "sample", "warm"):  # flush in the other process may add rows behind these
            rows = len(want[name])
            np.testing.assert_array_equal(answer[name][:rows], want[name])
        assert answer["gaps"][: len(want["gaps"])] == want["gaps"]
        assert answer["events"][: len(want["events"])] == want["events"]
    assert sum(bool(outcome(results[i : i + 40])["events"]) for i in seen) > 20
    assert sum(bool(outcome(results[i : i + 40])["gaps"]) for i in seen) > 20


def test_a_snapshot_is_some_kilobytes() -> None:
    stream = StreamClassifier(Model.bundled())
    stream.push(demo(16000)[: 5 * 16000])
    assert len(pack(stream.snapshot())) < 64_000


def test_what_does_not_fit_is_refused_and_leaves_a_new_stream() -> None:
    model = Model.bundled("small")
    sound = demo(16000)[: 4 * 16000]
    stream = StreamClassifier(model)
    stream.push(sound)
    saved = stream.snapshot()
    others = {
        "another model": StreamClassifier(Model.bundled()),
        "other rules": StreamClassifier(model, DetectorSpec(default=ClassRule(threshold=0.9))),
        "another repair": StreamClassifier(model, repair="hold"),
    }
    for name, other in others.items():
        other.push(sound[:8000])
        with pytest.raises(SnapshotInvalid, match="restore it into"):
            other.restore(saved)
        assert other.end == 0, name
    fresh = StreamClassifier(model)
    for name in ("conditioner", "front_end", "engine", "detector", "held", "rows"):
        with pytest.raises(SnapshotInvalid):
            fresh.restore({**saved, name: "nothing like it"})
    np.testing.assert_array_equal(fresh.push(sound).probs, StreamClassifier(model).push(sound).probs)


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\xc1", b"\x93\x01\x02\x03", pack({"kind": "x", "a": np.zeros(3)})[:-2]], ids=repr
)
def test_damaged_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(SnapshotInvalid, match=r"save it again"):
        unpack(data)


def test_arrays_that_lie_about_their_size_are_refused() -> None:
    import msgspec

    for about in (("<f4", [2**40], b""), ("<f4", [-1], b""), ("|O", [1], b"12345678"), ("<f4", [2], b"1234")):
        data = msgspec.msgpack.encode({"a": msgspec.msgpack.Ext(1, msgspec.msgpack.encode(about))})
        with pytest.raises(SnapshotInvalid):
            unpack(data)


def test_a_model_pickles_by_the_bytes_of_its_file() -> None:
    model = Model.bundled("small")
    data = pickle.dumps(model)
    assert len(data) < 1.01 * (ASSETS / "small.onnx").stat().st_size + 1000
    again = pickle.loads(data)
    assert (again.sha256, again.id, again.provider) == (model.sha256, model.id, model.provider)
    sound = demo(16000)[: 2 * 16000]
    np.testing.assert_array_equal(
        StreamClassifier(again).push(sound).probs, StreamClassifier(model).push(sound).probs
    )
