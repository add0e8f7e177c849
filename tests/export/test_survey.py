"""A look at a data set before training: figures, division, warnings, table, picture and command."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from rich.console import Console

from export.data import SplitConfig, read_dataset
from export.data.survey import Survey, divide, listening, measure, survey
from stream.errors import DataError
from tests.support.command import environment
from tests.support.labelled import RATE, class_folder, hash_split_lists, tone
from tests.support.shared_data import need_data

MODEL_RATE = RATE  # the recordings of these tests are as training wants them


def noise(seconds: float = 0.5, level: float = 0.1, rate: int = RATE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, level, round(seconds * rate)).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = RATE, subtype: str = "FLOAT") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)


def looked(root: Path, **options: Any) -> Survey:
    return survey(read_dataset(root), options.pop("plan", None), sample_rate=MODEL_RATE, **options)


def kinds(found: Survey) -> dict[str, str]:
    return {each.kind: str(each) for each in found.warnings}


# -- one recording -----------------------------------------------------------------------------------------------------


def test_level_and_silence_are_of_what_is_heard(tmp_path: Path) -> None:
    """A sine of amplitude 0.1 is at -23 dBFS, whatever silence there is around it."""
    sine = 0.1 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    write(tmp_path / "a.wav", np.concatenate([np.zeros(RATE), sine, np.zeros(2 * RATE)]))
    found = measure(tmp_path / "a.wav")
    assert found.level == pytest.approx(20 * np.log10(0.1 / np.sqrt(2)), abs=0.05)
    assert found.silence == pytest.approx(0.75, abs=0.01)
    assert found.seconds == pytest.approx(4.0)
    assert found.sample_rate == RATE
    assert found.clipped == 0


def test_digital_silence_has_no_level_and_no_bandwidth(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", np.zeros(RATE))
    found = measure(tmp_path / "a.wav")
    assert (found.level, found.silence, found.bandwidth, found.clipped) == (-120.0, 1.0, 0.0, 0.0)


def test_clipping_is_a_flat_top_at_any_level(tmp_path: Path) -> None:
    loud = 0.5 * np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE)
    for name, samples, clipped in (
        ("whole", loud, False),
        ("full scale", loud / np.abs(loud).max(), False),
        ("cut", np.clip(loud, -0.3, 0.3), True),
        ("cut at full scale", np.clip(4 * loud, -1, 1), True),
    ):
        write(tmp_path / f"{name}.wav", samples, subtype="PCM_16")
        assert (measure(tmp_path / f"{name}.wav").clipped > 0.001) == clipped, name


def test_bandwidth_shows_what_was_sampled_lower(tmp_path: Path) -> None:
    import soxr

    write(tmp_path / "wide.wav", noise(1.0, rate=16000), 16000, "PCM_16")
    narrow = soxr.resample(noise(1.0, rate=8000), 8000, 16000)
    write(tmp_path / "narrow.wav", narrow, 16000, "PCM_16")
    assert measure(tmp_path / "wide.wav").bandwidth > 7900
    assert 3500 < measure(tmp_path / "narrow.wav").bandwidth < 4300


def test_content_is_the_same_in_another_lossless_format(tmp_path: Path) -> None:
    samples = (noise() * 32767).astype(np.int16)
    write(tmp_path / "a.wav", samples, subtype="PCM_16")
    write(tmp_path / "b.flac", samples, subtype="PCM_16")
    write(tmp_path / "c.wav", samples[:-1], subtype="PCM_16")
    first, same, other = (measure(tmp_path / name) for name in ("a.wav", "b.flac", "c.wav"))
    assert first.content == same.content
    assert first.content != other.content


@pytest.mark.parametrize("content", [b"", b"not sound at all", None])
def test_what_cannot_be_heard_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.wav"
    if content is None:
        write(path, np.full(RATE, np.nan, np.float32))
    else:
        path.write_bytes(content)
    with pytest.raises(DataError):
        measure(path)


# -- a data set --------------------------------------------------------------------------------------------------------


def test_figures_of_a_sound_data_set_and_no_warning(tmp_path: Path) -> None:
    found = looked(class_folder(tmp_path))
    high, low = found.classes
    assert (high.name, low.name) == ("high", "low")
    assert (high.recordings, high.read, high.unreadable, high.sources) == (16, 16, 0, 8)
    assert high.sample_rates == {RATE: 16}
    seconds = [soundfile.info(path).duration for path in (tmp_path / "high").glob("*.wav")]
    assert high.seconds == pytest.approx(sum(seconds))
    assert high.median_seconds == pytest.approx(np.median(seconds))
    assert sum(high.split_seconds.values()) == pytest.approx(high.seconds)
    assert sum(high.splits.values()) == 16
    assert found.seconds == pytest.approx(high.seconds + low.seconds)
    assert (found.recordings, found.read, found.sources, found.sampled) == (32, 32, 8, False)
    assert kinds(found) == {}


def test_the_reason_for_what_is_held_out(tmp_path: Path) -> None:
    root = class_folder(tmp_path)
    assert "drawn by speaker or source, 10 %" in looked(root).why["validation"]
    asked = looked(root, plan=SplitConfig(test_groups=("s3",)))
    assert asked.held_out["test"] == ("s3",)
    assert asked.why["test"] == "s3, as asked for"
    hash_split_lists(root, ("s0", "s1"), ("s2",))
    own = looked(root)
    assert own.held_out == {"validation": ("s0", "s1"), "test": ("s2",)}
    assert set(own.why.values()) == {"the data's own split"}
    with pytest.raises(DataError, match="group 'bob'"):
        looked(root, plan=SplitConfig(test_groups=("bob",)))


def test_what_training_would_refuse_is_a_warning_and_the_rest_is_shown(tmp_path: Path) -> None:
    root = class_folder(tmp_path)
    write(root / "alone" / "s1_nohash_0.wav", noise())
    found = looked(root)
    assert "training would refuse this: class alone: only s1_nohash_0.wav" in kinds(found)["refused"]
    assert len(found.classes) == 3
    assert divide(read_dataset(root)).problem


def test_strong_labels_count_by_their_events(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", noise(2.0))
    write(tmp_path / "b.wav", noise(1.0, seed=1))
    text = (
        "filename\tonset\toffset\tevent_label\na.wav\t0.5\t1.0\tdog\na.wav\t0\t2\tcat\nb.wav\t0.5\t9\tdog\n"
    )
    (tmp_path / "manifest.tsv").write_text(text)
    cat, dog = looked(tmp_path).classes
    assert cat.seconds == pytest.approx(2.0)
    assert dog.seconds == pytest.approx(0.5 + 0.5), "an event ends with its recording"


def test_recordings_of_no_class_have_a_row(tmp_path: Path) -> None:
    for i in range(4):
        write(tmp_path / f"{i}.wav", noise(seed=i))
    (tmp_path / "manifest.csv").write_text("filename,label\n0.wav,x\n1.wav,x;y\n2.wav,y\n3.wav,\n")
    found = looked(tmp_path)
    assert [(each.name, each.recordings) for each in found.classes] == [("x", 2), ("y", 2), ("", 1)]
    assert "(no class)" in text_of(found)


def test_very_large_data_is_sampled_evenly_unless_all_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "MOST_READ", 20)
    monkeypatch.setattr(listening, "SAMPLE_PER_CLASS", 4)
    root = class_folder(tmp_path)
    some, every = looked(root), looked(root, everything=True)
    assert (some.read, some.recordings, some.sampled) == (8, 32, True)
    assert (every.read, every.sampled) == (32, False)
    assert some.seconds == pytest.approx(every.seconds, rel=0.4)
    assert "8 of 32 recordings were read" in text_of(some)
    for path in sorted((root / "low").glob("*.wav"))[::4]:
        path.write_bytes(b"gone")
    again = looked(root)
    assert "no_sound" not in kinds(again), "of a class whose sample cannot be read, the rest is read"
    assert again.read == 8 + 12


# -- warnings ----------------------------------------------------------------------------------------------------------


def replace_all(folder: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    for path in sorted(folder.glob("*.wav")):
        samples, rate = soundfile.read(path, dtype="float32")
        write(path, change(samples), rate)


def unreadable_class(root: Path) -> None:
    for path in (root / "low").glob("*.wav"):
        path.write_bytes(b"not sound")


def unreadable_file(root: Path) -> None:
    (root / "low" / "s0_nohash_0.wav").write_bytes(b"not sound")


def few_sources(root: Path) -> None:
    for path in (root / "low").glob("s[4-7]_*.wav"):
        path.unlink()


def in_two_classes(root: Path) -> None:
    write(
        root / "high" / "s1_nohash_9.wav",
        soundfile.read(root / "low" / "s1_nohash_0.wav", dtype="float32")[0],
    )


def twice_in_a_class(root: Path) -> None:
    write(
        root / "low" / "s1_nohash_9.wav", soundfile.read(root / "low" / "s1_nohash_0.wav", dtype="float32")[0]
    )


def in_two_parts(root: Path) -> None:
    write(
        root / "low" / "s0_nohash_9.wav", soundfile.read(root / "low" / "s5_nohash_0.wav", dtype="float32")[0]
    )
    hash_split_lists(root, ("s0", "s1"), ("s2",))


def mostly_silent(root: Path) -> None:
    write(
        root / "low" / "s1_nohash_0.wav",
        np.concatenate([np.zeros(RATE), tone("low", 0.1, np.random.default_rng(3))]),
    )


def clipped(root: Path) -> None:
    samples = np.clip(4 * tone("low", 0.5, np.random.default_rng(3)), -0.5, 0.5)
    write(root / "low" / "s1_nohash_0.wav", samples)


def short(root: Path) -> None:
    write(root / "low" / "s1_nohash_0.wav", noise(0.05))


def long(root: Path) -> None:
    write(root / "low" / "s1_nohash_0.wav", tone("low", 30.0, np.random.default_rng(3)))


def faint_file(root: Path) -> None:
    write(root / "low" / "s1_nohash_0.wav", 0.01 * tone("low", 0.5, np.random.default_rng(3)))


def faint_class(root: Path) -> None:
    replace_all(root / "low", lambda samples: 0.1 * samples)


def narrow_class(root: Path) -> None:
    signal = pytest.importorskip("scipy.signal")
    low_pass = signal.butter(10, 1500, fs=RATE, output="sos")
    replace_all(root / "low", lambda samples: signal.sosfilt(low_pass, samples).astype(np.float32))


def slow_class(root: Path) -> None:
    for path in sorted((root / "low").glob("*.wav")):
        samples, _ = soundfile.read(path, dtype="float32")
        write(path, samples[::2], RATE // 2)


def unequal_classes(root: Path) -> None:
    rng = np.random.default_rng(5)
    for i in range(16):
        write(root / "low" / f"s{i % 8}_nohash_{i + 10}.wav", tone("low", 4.0, rng))


def one_voice_in_a_class(root: Path) -> None:
    for i in range(12):
        write(root / "low" / f"only_nohash_{i}.wav", tone("low", 0.4, np.random.default_rng(i + 9)))


def event_after_the_end(root: Path) -> None:
    names = sorted(path.relative_to(root) for path in root.glob("*/*.wav"))
    rows = [f"{name}\t0\t0.2\t{name.parent}\n" for name in names]
    late = f"{names[-1]}\t50\t51\tmid\n"
    (root / "manifest.tsv").write_text("filename\tonset\toffset\tevent_label\n" + "".join(rows) + late)


def only_one_class(root: Path) -> None:
    for label in ("mid", "high"):
        shutil.rmtree(root / label)


def nobody_known(root: Path) -> None:
    for path in sorted(root.glob("*/*.wav")):
        path.rename(path.with_name(path.name.replace("_nohash_", "")))


@pytest.mark.parametrize(
    ("spoil", "kind", "said"),
    [
        (unreadable_class, "no_sound", "class low: not one of its 16 recordings can be read"),
        (unreadable_file, "unreadable", "1 recording cannot be read and will be left out: s0_nohash_0.wav (folder "),
        (few_sources, "few_sources", "1 class with fewer than 5 speakers or sources"),
        (in_two_classes, "two_classes", "of which one is wrong: s1_nohash_9.wav (folder high) = s1_nohash_0.wav"),
        (twice_in_a_class, "copies", "1 case: s1_nohash_0.wav (folder low) = s1_nohash_9.wav (folder low)"),
        (in_two_parts, "leak", "in training and held out in 1 case"),
        (mostly_silent, "silence", "s1_nohash_0.wav (folder low) 91 %"),
        (clipped, "clipped", "1 recording clipped; record with less gain: s1_nohash_0.wav (folder low) "),
        (short, "short", "s1_nohash_0.wav (folder low) 0.05 s"),
        (long, "long", "s1_nohash_0.wav (folder low) 30 s"),
        (faint_file, "level", "s1_nohash_0.wav (folder low) -53 dBFS, its class -13"),
        (faint_class, "class_level", "low -33 dBFS, others -13"),
        (narrow_class, "class_bandwidth", "low up to"),
        (slow_class, "class_sample_rate", "1 class with a lower sample rate than the others"),
        (unequal_classes, "imbalance", "class low has"),
        (one_voice_in_a_class, "one_voice", "only in low, 12 of 28 recordings"),
        (event_after_the_end, "late", "1 event after the end of the recording; correct onset or file: s7_nohash_1.wav"),
        (only_one_class, "one_class", "low is the only class"),
        (nobody_known, "no_sources", "no speaker or source is known"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_what_spoils_training_is_said(
    tmp_path: Path, spoil: Callable[[Path], None], kind: str, said: str
) -> None:
    """Each fault, put into a data set that has none, is found, and named in one line."""
    root = class_folder(tmp_path, labels=("low", "mid", "high"))
    assert kinds(looked(root)) == {}
    spoil(root)
    found = kinds(looked(root))
    assert kind in found, found
    assert said in found[kind]
    assert "\n" not in found[kind]


def test_many_are_named_by_the_first_and_their_number(tmp_path: Path) -> None:
    root = class_folder(tmp_path)
    for path in sorted((root / "low").glob("s[0-2]*.wav")):
        path.write_bytes(b"not sound")
    found = next(each for each in looked(root).warnings if each.kind == "unreadable")
    assert len(found.named) == 6
    assert str(found).startswith("6 recordings cannot be read")
    assert str(found).endswith("; and 3 more")
    assert "s1_nohash_1" not in str(found)


def test_names_from_a_manifest_cannot_steer_the_terminal(tmp_path: Path) -> None:
    for i in range(4):
        write(tmp_path / f"{i}.wav", noise(seed=i))
    (tmp_path / "manifest.csv").write_text(
        "filename,label,speaker\n0.wav,[red]x\x1b[2J,\x1b[31m\n1.wav,[red]x\x1b[2J,b\n2.wav,y,c\n3.wav,y,d\n"
    )
    found = looked(tmp_path)
    shown = text_of(found) + "".join(map(str, found.warnings))
    assert "\x1b" not in shown
    assert "[red]x?[2J" in shown


# -- what is shown -----------------------------------------------------------------------------------------------------


def text_of(found: Survey, width: int = 80) -> str:
    shown = io.StringIO()
    Console(width=width, highlight=False, file=shown).print(found.table())
    return shown.getvalue()


def test_the_table_is_stable_and_fits_80_columns(tmp_path: Path) -> None:
    """The same columns in the same places for another data set, with names of any length."""
    first = text_of(looked(class_folder(tmp_path / "a"))).splitlines()
    root = class_folder(tmp_path / "b")
    (root / "low").rename(root / ("long " * 12))
    second = text_of(looked(root)).splitlines()
    assert first[0].split() == [
        "class",
        "files",
        "min",
        "sources",
        "train/val/test",
        "kHz",
        "s",
        "dBFS",
        "silent",
    ]
    assert first[0] == second[0]
    assert max(map(len, [*first, *second])) <= 80
    assert first[2].split()[0] == "low"
    assert first[2].split()[1] == "16"
    assert first[3].startswith("2 classes, 32 recordings, 0.3 minutes, 8 speakers or sources")


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    root = class_folder(tmp_path / "d")
    (root / "low").rename(root / "$lo$ 猫")
    looked(root).draw(tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command where neither torch nor librosa can be imported."""
    code = (
        "import sys; sys.modules['torch'] = sys.modules['librosa'] = None; "
        "from export.cli.data import data; from stream.cli import app, main; "
        "app.app.add_command(data, 'data'); main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=cwd, env=environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_the_command_prints_table_and_warnings_and_needs_no_torch(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    unreadable_file(class_folder(tmp_path / "d"))
    done = run("data", "d", "--picture", "p.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "wrote p.png\n"
    lines = done.stdout.splitlines()
    assert lines[0].startswith("class ")
    assert any(line.startswith("warning: 1 recording cannot be read") for line in lines)
    assert max(map(len, lines)) <= 80
    assert (tmp_path / "p.png").stat().st_size > 1000


def test_the_command_prints_json(tmp_path: Path) -> None:
    unreadable_file(class_folder(tmp_path / "d"))
    done = run("data", "d", "--json", "--labels", "high:low", "--test-group", "s3", "--all", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [each["class"] for each in found["classes"]] == ["high", "low"]
    assert found["held_out"]["test"] == {"why": "s3, as asked for", "sources": ["s3"]}
    assert [each["kind"] for each in found["warnings"]] == ["unreadable"]
    assert found["recordings"] == 32


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["nowhere"], "nowhere: no such folder or manifest", 8),
        (["d", "--labels", "low"], "label 'high' is not one of low", 8),
        (["d", "--unknown", "x"], "name the classes with --labels", 2),
        (["d", "--test-group", "bob"], "group 'bob': the data has s0", 8),
        (["d", "--test-fold", "1"], "fold '1': the data has no folds", 8),
        (["d", "--picture", "p.jpg"], "a name that ends in .png", 2),
        (["d", "--picture", "none/p.png"], "there is no folder none", 2),
    ],
)
def test_a_mistake_gets_one_line(tmp_path: Path, words: list[str], said: str, code: int) -> None:
    class_folder(tmp_path / "d", speakers=2)
    done = run("data", *words, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("stream-classify: error: ")
    assert said in line


def test_real_recordings() -> None:
    """Four speakers are few, one of them is much fainter, and ten digits are in balance."""
    found = survey(read_dataset(need_data("digits")), sample_rate=8000)
    assert len(found.classes) == 10
    assert {each.recordings for each in found.classes} == {200}
    assert {each.kind for each in found.warnings} == {"few_sources", "level", "clipped"}
    level = next(each for each in found.warnings if each.kind == "level")
    assert sum("theo" in name for name in level.named) > 0.9 * len(level.named)
