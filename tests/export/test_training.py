"""Training: it learns, carries state, survives a kill, and keeps what it did."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")

from export.augmentation import AugmentConfig, WaveformAugmentation  # noqa: E402
from export.augmentation.mel import MelAugmentation, mel_spec  # noqa: E402
from export.data import build_store, read_dataset, split_dataset  # noqa: E402
from export.models import build, preset  # noqa: E402
from export.models.checkpoint import load_model, save_model  # noqa: E402
from export.training import Batch, FitConfig, TrainConfig, fit, train  # noqa: E402
from export.training.epochs import ClipEpoch, StreamEpoch  # noqa: E402
from export.training.fitting import batches, passes  # noqa: E402
from export.training.loss import frame_loss  # noqa: E402
from export.training.sampler import Sampler  # noqa: E402
from export.training.settings import change, setting_names  # noqa: E402
from export.training.stream_config import StreamConfig  # noqa: E402
from export.training.targets import RecordingTargets  # noqa: E402
from export.training.validation import RecordingScores, figures  # noqa: E402
from stream.errors import CheckpointError, DataError, ProviderUnavailable, SpecError  # noqa: E402
from stream.features.spec import MfccSpec  # noqa: E402
from tests.support.command import running  # noqa: E402
from tests.support.labelled import RATE, class_folder, tone  # noqa: E402

pytestmark = pytest.mark.torch

SPEC = MfccSpec(sample_rate=RATE, n_fft=256, win_length=200, hop_length=80, n_mels=20, n_mfcc=13)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def config(data: Path, cache: Path, **changes: object) -> TrainConfig:
    values = {
        "features": SPEC,
        "model_changes": {"hidden": 12, "layers": 1},
        "fit": FitConfig(epochs=6, learning_rate=2e-2),
        "streams": StreamConfig(frames=60, rows=4),
        "cache": str(cache),
        **changes,
    }
    return TrainConfig(data=str(data), **values)


def toy_batches(epoch: int) -> list[Batch]:
    """Streams of three batches in which the class is the sign of a number seen in the first frame only."""
    generator = torch.Generator().manual_seed(epoch)
    found = []
    for _ in range(6):
        answer = torch.randint(0, 2, (16,), generator=generator)
        for part in range(3):
            x = 0.1 * torch.randn(16, 5, 3, generator=generator)
            if part == 0:
                x[:, 0, 0] = 2.0 * answer - 1
            fresh = torch.full((16,), part == 0)
            found.append(Batch(x, answer[:, None].expand(16, 5).contiguous(), torch.ones(16, 5), fresh))
    return found


def test_the_state_is_carried_between_batches() -> None:
    """Two of three batches can be answered only from the state: guessing there costs 2/3 of log 2. Same network, same
    batches in both arms; only what is reset differs."""
    settings = FitConfig(epochs=15, learning_rate=2e-2, schedule="constant", monitor="loss")

    def forgetful(epoch: int) -> list[Batch]:
        return [replace(b, reset=torch.ones(16, dtype=torch.bool)) for b in toy_batches(epoch)]

    def loss(batches: Callable[[int], list[Batch]]) -> float:
        torch.manual_seed(0)
        return fit(build(preset("gru", features=3, classes=2, hidden=16)), batches, settings).best["loss"]

    assert loss(toy_batches) < 0.1
    assert loss(forgetful) > 0.4


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_a_resumed_run_equals_one_that_never_stopped(tmp_path: Path, schedule: str) -> None:
    settings = FitConfig(epochs=5, average=0.9, schedule=schedule, patience=3)

    def fresh() -> torch.nn.Module:
        torch.manual_seed(3)
        return build(preset("gru", features=3, classes=2, hidden=8, dropout=0.3))

    def interrupted(epoch: int) -> list[Batch]:
        if epoch == 2:
            raise KeyboardInterrupt
        return toy_batches(epoch)

    whole, half = fresh(), fresh()
    first = fit(whole, toy_batches, settings)
    with pytest.raises(KeyboardInterrupt):
        fit(half, interrupted, settings, folder=tmp_path)
    resumed = fresh()
    second = fit(resumed, toy_batches, settings, folder=tmp_path, resume=True)
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-7, rtol=0)
    assert [r["loss"] for r in first.history] == pytest.approx([r["loss"] for r in second.history])


def test_a_resume_with_other_settings_is_refused(tmp_path: Path) -> None:
    model = build(preset("gru", features=3, classes=2, hidden=8))
    fit(model, toy_batches, FitConfig(epochs=1), folder=tmp_path)
    with pytest.raises(CheckpointError, match="other settings"):
        fit(model, toy_batches, FitConfig(epochs=1, seed=1), folder=tmp_path, resume=True)


def test_early_stopping_and_the_best_weights() -> None:
    figures = iter([0.5, 0.9, 0.4, 0.3, 0.2, 0.1])
    kept = []

    def validate(model: torch.nn.Module) -> dict[str, float]:
        kept.append({name: value.clone() for name, value in model.state_dict().items()})
        return {"accuracy": next(figures)}

    model = build(preset("rnn", features=3, classes=2, hidden=4))
    result = fit(model, toy_batches, FitConfig(epochs=9, patience=3, monitor="accuracy"), validate=validate)
    assert result.stopped == "early"
    assert len(result.history) == 5
    assert result.best["val_accuracy"] == 0.9
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, kept[1][name])


def test_wrong_settings_are_named() -> None:
    model = build(preset("rnn", features=3, classes=2, hidden=4))
    with pytest.raises(SpecError, match="monitor 'f2'"):
        fit(model, toy_batches, FitConfig(epochs=1, monitor="f2"))
    with pytest.raises(SpecError, match="loss became"):
        fit(
            model,
            lambda _: [Batch(torch.full((1, 2, 3), torch.nan), torch.zeros(1, 2).long(), torch.ones(1, 2))],
            FitConfig(),
        )
    if not torch.cuda.is_available():
        with pytest.raises(ProviderUnavailable, match="no CUDA"):
            fit(model, toy_batches, FitConfig(device="cuda"))


def test_losses_ignore_frames_without_weight() -> None:
    logits = torch.randn(2, 4, 3)
    weight = torch.tensor([[1.0, 1, 0, 0], [1, 0, 0, 0]])
    classes = torch.randint(0, 3, (2, 4))
    expected = torch.nn.functional.cross_entropy(logits[weight > 0], classes[weight > 0])
    torch.testing.assert_close(frame_loss(logits, classes, weight, "softmax"), expected)
    many = torch.rand(2, 4, 3).round()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits[weight > 0], many[weight > 0])
    torch.testing.assert_close(frame_loss(logits, many, weight, "sigmoid"), expected)
    assert frame_loss(logits, classes, torch.zeros(2, 4), "softmax") == 0


def source(tmp_path: Path, *, variants: int = 0, **plan: object) -> Sampler:
    data = split_dataset(read_dataset(class_folder(tmp_path / "d")))
    recordings = data.part("train")
    stores = [build_store(recordings, SPEC, cache=tmp_path / "c")]
    slower = WaveformAugmentation(
        AugmentConfig(room=0, noise=0, pitch=0, shift=0, narrow=0, tempo=0.4), 1, RATE
    )
    for number in range(variants):
        stores.append(
            build_store(
                recordings, SPEC, cache=tmp_path / "c", augmentation=slower, augmentation_digest=f"{number}"
            )
        )
    return Sampler(stores, RecordingTargets(recordings, data.labels, "softmax"), StreamConfig(**plan))


def test_recordings_without_a_score_are_counted(tmp_path: Path) -> None:
    made = source(tmp_path)
    names = list(made.targets.labels)
    clips = np.array([[float(r.labels[0] == name) for name in names] for r in made.targets.recordings])
    nothing = np.zeros(len(names))
    assert "unscored" not in figures(RecordingScores(clips, nothing, nothing, nothing, 0.5), made)
    clips[:3] = np.nan
    found = figures(RecordingScores(clips, nothing, nothing, nothing, 0.5), made)
    assert found == {"loss": 0.5, "accuracy": 1.0, "balanced": 1.0, "unscored": 3.0}


def test_longer_variants_are_not_cut_off(tmp_path: Path) -> None:
    made = source(tmp_path, variants=3, rows=2, frames=40)
    epoch = StreamEpoch(made, 0)
    planned = {i: made.stores[variant].frames(i) for row in epoch.rows for i, variant, _ in row}
    assert any(planned[i] != made.stores[0].frames(i) for i in planned)
    seen = np.concatenate([indexed.recording.ravel() for indexed in epoch.indexed()])
    assert {i: int((seen == i).sum()) for i in planned} == planned


def test_streams_hold_every_recording_once_and_whole(tmp_path: Path) -> None:
    made = source(tmp_path, rows=3, frames=50, gap=(0.05, 0.2))
    epoch = StreamEpoch(made, 0)
    rows: list[list] = [[], [], []]
    owners: list[list] = [[], [], []]
    answers: list[list] = [[], [], []]
    batches = list(epoch.indexed())
    assert len(batches) == len(epoch)
    assert batches[0].batch.reset.all(), "every row starts new"
    for indexed in batches:
        for row in range(3):
            rows[row].append(indexed.batch.features[row].numpy())
            owners[row].append(indexed.recording[row])
            answers[row].append(
                np.where(indexed.batch.weight[row].numpy() > 0, indexed.batch.targets[row].numpy(), -1)
            )
    seen = []
    for x, owner, answer in zip(rows, owners, answers, strict=True):
        x, owner, answer = np.concatenate(x), np.concatenate(owner), np.concatenate(answer)
        for i in set(owner.tolist()) - {-1}:
            seen.append(i)
            where = owner == i
            np.testing.assert_array_equal(x[where], made.stores[0][i])
            label = made.targets.labels.index(made.targets.recordings[i].labels[0])
            half = where.sum() // 2
            assert (answer[where][:half] == -1).all(), "nothing is taught before the middle"
            assert (answer[where][half:] == label).all()
        assert (answer[owner == -1] == -1).all(), "gaps teach nothing without a class of their own"
    assert sorted(seen) == list(range(len(made.stores[0])))
    assert not torch.equal(next(iter(StreamEpoch(made, 1))).features, batches[0].batch.features)
    assert torch.equal(next(iter(StreamEpoch(made, 0))).features, batches[0].batch.features)


def test_clips_of_all_lengths_train_together_padding_without_weight(tmp_path: Path) -> None:
    made = source(tmp_path, carry=False, rows=5)
    total = 0
    for indexed in ClipEpoch(made, 0).indexed():
        batch = indexed.batch
        assert batch.reset is None
        for row in range(len(batch.features)):
            i = int(indexed.recording[row].max())
            n = made.stores[0].frames(i)
            assert (indexed.recording[row, :n] == i).all(), "no frame is cut off"
            assert batch.weight[row, n:].sum() == 0
            total += n
    assert total == len(made.stores[0].features)


def test_balance_draws_sources_and_classes_alike(tmp_path: Path) -> None:
    """Of a class with one speaker of many files and one of few, both are heard as often with ``balance`` 1."""
    made = source(tmp_path, balance=1.0)
    recordings = made.targets.recordings
    loud = [replace(r, group="one" if n % 6 else "rare") for n, r in enumerate(recordings)]
    made.targets = RecordingTargets(loud, made.targets.labels, "softmax")
    rng, heard = np.random.default_rng(0), Counter()
    for _ in range(60):
        drawn = made.draw_epoch(rng)
        assert len(drawn) == len(recordings)
        heard.update((loud[i].labels[0], loud[i].group) for i in drawn)
    shares = np.array(list(heard.values())) / sum(heard.values())
    assert len(shares) == 4
    np.testing.assert_allclose(shares, 0.25, atol=0.04)
    assert sorted(source(tmp_path / "e").draw_epoch(rng)) == list(range(len(recordings))), "0: each once"


def test_steps_are_reached_with_little_data(tmp_path: Path) -> None:
    made = source(tmp_path, rows=2, frames=50)
    one = len(StreamEpoch(made, 0))
    times = passes(made, steps=10 * one, epochs=4)
    assert times == 3
    epochs = [batches(made, times)(epoch) for epoch in range(4)]
    assert sum(len(epoch) for epoch in epochs) >= 10 * one
    assert [sum(1 for _ in epoch) for epoch in epochs] == [len(epoch) for epoch in epochs]
    first = [next(iter(part)).features for epoch in epochs for part in epoch.parts]
    assert all(not torch.equal(a, b) for a, b in pairwise(first)), "every pass is drawn anew"
    assert passes(made, steps=0, epochs=4) == 1


def test_training_with_mel_changes_ends_in_the_front_ends_features(tmp_path: Path) -> None:
    """Validation and test hear plain MFCCs: what was learnt through log-mel energies holds there."""
    result = train(
        config(
            class_folder(tmp_path / "d"),
            tmp_path / "c",
            augment=AugmentConfig(warp=0.1, stretch=0.2, stationary_noise=0.5, mix=0.3, gain=3, snr=(10, 30)),
            steps=150,
        )
    )
    assert result.model.config.features == SPEC.width
    assert result.figures["validation_accuracy"] == 1.0
    assert result.figures["test_accuracy"] == 1.0


def test_labels_keep_step_with_another_speed(tmp_path: Path) -> None:
    made = source(tmp_path)
    store = build_store(made.targets.recordings, mel_spec(SPEC), cache=tmp_path / "c")
    made.stores, made.augmentation = [store], MelAugmentation(AugmentConfig(stretch=0.4), SPEC)
    rng, lengths = np.random.default_rng(0), set()
    for _ in range(10):
        features, targets, weight = made.recording(0, 0, rng)
        assert features.shape == (len(targets), SPEC.width)
        assert weight.mean() == pytest.approx(0.5, abs=0.06), "the second half is taught, at any length"
        lengths.add(len(features))
    assert len(lengths) > 3


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru", "crnn", "tcn", "dstcn", "gla"])
def test_training_learns_and_keeps_a_record(tmp_path: Path, model: str) -> None:
    changes = {
        "hidden": 12,
        "layers": 3 if model in ("tcn", "dstcn") else 1,
        **({"channels": 12} if model == "crnn" else {"heads": 3} if model == "gla" else {}),
    }
    data = class_folder(tmp_path / "d")
    result = train(
        config(data, tmp_path / "c", model=model, model_changes=changes),
        tmp_path / "m.pt",
        folder=tmp_path / "run",
    )
    assert result.figures["validation_accuracy"] == 1.0
    assert result.figures["validation_accuracy_alone"] == 1.0
    assert result.figures["test_accuracy"] == 1.0
    run = tmp_path / "run"
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 6
    assert json.loads((run / "config.json").read_text())["features"]["n_mfcc"] == 13
    assert len(json.loads((run / "origin.json").read_text())["data_digest"]) == 16
    for picture in ("curves.png", "confusion.png"):
        assert (run / picture).read_bytes()[:4] == b"\x89PNG"
    loaded = load_model(tmp_path / "m.pt")
    assert loaded.card.labels == ("high", "low")
    assert loaded.card.features == SPEC
    x = torch.randn(1, 30, 13)
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(x)[0], result.model(x)[0])


def test_strong_labels_train_a_sigmoid(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = ["filename\tonset\toffset\tevent_label\tspeaker\tsplit"]
    for n in range(10):
        sound = rng.normal(0, 0.01, 3 * RATE).astype(np.float32)
        for label in ("low", "high"):
            onset, length = rng.uniform(0, 2), rng.uniform(0.4, 0.9)
            at, part = int(onset * RATE), tone(label, length, rng)
            sound[at : at + len(part)] += part
            split = "validation" if n < 3 else "train"
            lines.append(f"{n}.wav\t{onset:.4f}\t{onset + length:.4f}\t{label}\ts{n}\t{split}")
        soundfile.write(tmp_path / f"{n}.wav", sound, RATE)
    (tmp_path / "strong.tsv").write_text("\n".join(lines))
    result = train(
        config(tmp_path / "strong.tsv", tmp_path / "c", fit=FitConfig(epochs=20, learning_rate=2e-2))
    )
    assert result.card.activation == "sigmoid"
    assert result.figures["validation_f1"] > 0.9


def test_background_is_a_class_of_its_own(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "d")
    (root / "_background_noise_").mkdir()
    soundfile.write(
        root / "_background_noise_" / "hiss.wav", np.random.default_rng(0).normal(0, 0.01, 5 * RATE), RATE
    )
    result = train(config(root, tmp_path / "c", test_groups=("s1",)))
    assert result.card.labels == ("high", "low", "_silence_")
    assert result.card.provenance["split"]["test_groups"] == ("s1",)  # what `evaluate --split` goes by
    assert not result.card.detector.rule("_silence_").enabled
    with torch.no_grad():
        hiss = build_store(read_dataset(root).recordings[:1], SPEC, cache=tmp_path / "c")
        silence = torch.from_numpy(np.array(hiss[0]))[None] * 0 + torch.from_numpy(
            np.asarray(Sampler([hiss], RecordingTargets([], ("a",), "softmax"), StreamConfig())._silence)
        )
        assert int(result.model(silence)[0][0, -1].argmax()) == 2


def test_softmax_refuses_two_labels(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "d")
    rows = "".join(
        f"{p.relative_to(root)},{p.parent.name};other,{p.stem}\n" for p in sorted(root.rglob("*.wav"))
    )
    (root / "manifest.csv").write_text("filename,label,speaker\n" + rows)
    with pytest.raises(DataError, match=r"\(manifest.csv, row \d+\): softmax needs exactly one label"):
        train(config(root, tmp_path / "c", activation="softmax"))


def test_killed_and_resumed(tmp_path: Path) -> None:
    """kill -9 in the middle of an epoch; the same command with --resume ends as if nothing had happened."""
    data = class_folder(tmp_path / "d")
    command = [
        sys.executable, "-c", "from stream.cli import main; main()", "train", str(data), "-o", str(tmp_path / "m.pt"),
        "--cache", str(tmp_path / "c"), "--epochs", "8", "--hidden", "8", "--layers", "1", "-r", str(RATE),
        "--n-fft", "256", "--win-length", "200", "--hop-length", "80", "--set", "streams.frames=60",
        "--set", "compose=false",
    ]  # fmt: skip
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=env)
    with running(process):
        for line in process.stderr:
            if line.split()[:1] == ["3/8"]:
                break
    assert not (tmp_path / "m.pt").exists()
    before = len((tmp_path / "m.run" / "metrics.jsonl").read_text().splitlines())
    assert 2 <= before < 8
    done = subprocess.run(
        [*command, "--resume"], capture_output=True, text=True, env=env, check=True, timeout=120
    )
    assert "validation_accuracy\t" in done.stdout
    resumed = load_model(tmp_path / "m.pt").model
    whole = [part.replace("m.pt", "whole.pt") for part in command]
    subprocess.run(whole, capture_output=True, env=env, check=True, timeout=120)
    for a, b in zip(
        resumed.state_dict().values(),
        load_model(tmp_path / "whole.pt").model.state_dict().values(),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)
    assert len((tmp_path / "m.run" / "metrics.jsonl").read_text().splitlines()) == 8


class Evil:
    def __reduce__(self) -> tuple:
        return (os.system, ("touch /tmp/never",))


def test_foreign_checkpoints_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil()))
    torch.save(Evil(), tmp_path / "evil2.pt")
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.pt")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    for name in ("none.pt", "text.pt", "evil.pt", "evil2.pt", "other.pt", "module.pt", "."):
        with pytest.raises(CheckpointError) as caught:
            load_model(tmp_path / name)
        assert "\n" not in str(caught.value)
    model = build(preset("gru", features=3, classes=2, hidden=4))
    from stream.inference.card import ModelCard

    save_model(
        tmp_path / "m.pt", model, ModelCard(name="x", labels=("a", "b"), activation="softmax", features=SPEC)
    )
    content = torch.load(tmp_path / "m.pt", weights_only=True)
    for damage in ({"schema": 99}, {"config": "{}"}, {"weights": {}}, {"card": "[]"}):
        torch.save({**content, **damage}, tmp_path / "bad.pt")
        with pytest.raises(CheckpointError):
            load_model(tmp_path / "bad.pt")


def test_settings_by_name() -> None:
    plain = TrainConfig(data="x")
    assert change(plain, {"hidden": "32", "model.layers": "1"}).model_changes == {"hidden": 32, "layers": 1}
    changed = change(plain, {"fit.learning_rate": "0.01", "features.n_mfcc": "none"})
    assert changed.fit.learning_rate == 0.01
    assert changed.features.n_mfcc is None
    assert change(plain, {"streams.gap": "0.1:2"}).streams.gap == (0.1, 2.0)
    assert change(plain, {"test_folds": "1:2"}).test_folds == ("1", "2")
    together = change(
        plain, {"features.n_fft": "256", "features.win_length": "200", "features.hop_length": "80"}
    )
    assert together.features.n_fft == 256, "values that are only right together"
    assert "augment.tilt" in setting_names()
    for settings, said in (
        ({"hiden": "3"}, "did you mean hidden"),
        ({"fit.epochs": "ten"}, r"fit\.epochs 'ten': want a whole number"),
        ({"start": "music"}, "start 'music': want speech or none"),
        ({"axes": "up"}, "axes 'up': want time or time-frequency"),
        ({"refit": "perhaps"}, "refit 'perhaps': want true or false"),
        ({"streams.gap": "0.1"}, r"streams\.gap '0\.1': want two numbers, as in 0:0\.5"),
        ({"fit.epochs": "0"}, "epochs 0"),
        ({"fit.epoch": "1"}, r"did you mean fit\.epochs"),
    ):
        with pytest.raises(SpecError, match=said):
            change(plain, settings)
