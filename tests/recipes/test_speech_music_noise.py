"""The recipe of the bundled models: composition is exact, repeatable and keeps the sides of the split apart."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch")

import torch

from export.augmentation import ChannelAugmentation
from export.evaluation import evaluate
from export.metrics import Prediction, best_threshold, event_figures, f1_score
from export.models import preset
from export.recipes.speech_music_noise import parallel
from export.recipes.speech_music_noise.build import build, build_further
from export.recipes.speech_music_noise.recipe_settings import (
    COMMON_SHAPE,
    DELAY_FRAMES,
    FEATURES,
    RecipeSettings,
)
from export.recipes.speech_music_noise.release import draws, peers
from export.recipes.speech_music_noise.release import report as report_module
from export.recipes.speech_music_noise.release.calibrate import (
    RuleFigures,
    ScoredValidation,
    calibrate,
    choose,
)
from export.recipes.speech_music_noise.release.conditions import by_condition
from export.recipes.speech_music_noise.release.report import report
from export.recipes.speech_music_noise.release.tables import table
from export.recipes.speech_music_noise.scenes import beats, effects, notes, singing, synthetic
from export.recipes.speech_music_noise.scenes.cases import CASES
from export.recipes.speech_music_noise.scenes.compose import at_level, compose
from export.recipes.speech_music_noise.scenes.labels import (
    CELL_SAMPLES,
    active_rms,
    active_spans,
    activity,
    with_hangover,
)
from export.recipes.speech_music_noise.scenes.mix import HARD, HARD_NO_SPEECH, TRAIN, Mix
from export.recipes.speech_music_noise.scenes.mix import PLAIN as PLAIN_VALIDATION
from export.recipes.speech_music_noise.sources import gather, soundfont
from export.recipes.speech_music_noise.sources.bank import Bank, Clip
from export.recipes.speech_music_noise.sources.corpora import FOLDERS, PACKAGES
from export.recipes.speech_music_noise.sources.rules import KINDS, Corpus, Rule
from export.recipes.speech_music_noise.training import data as data_module
from export.recipes.speech_music_noise.training import distillation
from export.recipes.speech_music_noise.training import further as further_module
from export.recipes.speech_music_noise.training.data import RecipeData, StreamSet, compose_again, load_set
from export.recipes.speech_music_noise.training.network import (
    average_best_and_last,
    network_probs,
    new_network,
    teacher_targets,
    train,
)
from export.recipes.speech_music_noise.training.predictions import predictions, stream_cells
from export.recipes.speech_music_noise.training.streams import (
    ComposedStreams,
    ValidationStreams,
    frame_labels,
    make_streams,
)
from export.training import Curriculum, FitConfig, LongStreamBatches
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import DataError, ExportError
from stream.features.mfcc import mfcc
from stream.features.spec import MfccSpec
from stream.inference.session import Model
from tests.support.command import running

pytestmark = pytest.mark.torch

RESERVED = (
    "asterisk-core-sounds-ru-g722", "fillets-ng-data-nl", "singularity-music", "fretsonfire-songs-sectoid",
)  # fmt: skip
SPEC = MfccSpec(n_fft=512, win_length=512, hop_length=320, n_mels=24, n_mfcc=None)


class Shelf:
    """A source of three steady kinds of sound, so that levels can be measured exactly."""

    def draw(self, kind, rng):
        return Clip(kind, kind, f"{kind}:{int(rng.integers(3))}", 0, 16000 * 30)

    def more(self, clip, kind, rng):
        return clip

    def clips(self, kind, group=None):
        return [self.draw(kind, np.random.default_rng(n)) for n in range(6)]

    def read(self, clip, start, length):
        time = np.arange(start, min(start + length, clip.length)) / 16000
        if clip.corpus == "noise":
            return np.random.default_rng(1).standard_normal(len(time)).astype(np.float32) * 0.1
        pitch = 180.0 if clip.corpus == "speech" else 440.0
        return (0.3 * np.sin(2 * np.pi * pitch * time)).astype(np.float32)


PLAIN = Mix(
    weights={("speech", "music"): 1.0, ("speech", "noise"): 1.0},
    segment_seconds=(6.0, 6.0),
    ratio_db={("speech", "music"): (7.0, 7.0), ("speech", "noise"): (-3.0, -3.0)},
    self_noise_dbfs=(-120.0, -120.0),
    synthetic_noise=0.0,
    sung=0.0,
    drummed=0.0,
    played=0.0,
    vary_clips=False,
)


def test_activity_follows_the_energy_and_holds_on():
    samples = np.zeros(16000, np.float32)
    samples[4000:8000] = np.sin(np.arange(4000) * 0.2)
    on = activity(samples, "speech")
    assert active_spans(on) == [(25, 50 + 15)]  # 150 ms of hangover
    assert not activity(np.zeros(1600, np.float32), "noise").any()
    assert not activity(samples, "speech", floor=1.0).any()


def test_hangover_joins_what_is_near():
    on = np.array([1, 0, 0, 1, 0, 0, 0, 0], bool)
    assert with_hangover(on, 2).tolist() == [True, True, True, True, True, True, False, False]


def test_ratio_and_level_are_exact():
    scene = compose(Shelf(), 12.0, PLAIN, np.random.default_rng(5))
    for segment in scene.segments[:1]:
        part = slice(segment.start, segment.end)
        speech, music, noise = (np.trim_zeros(scene.stems[k, part]) for k in range(3))
        other, kind = (music, "music") if "music" in segment.kinds else (noise, "noise")
        loud = active_rms(speech, activity(speech, "speech"))
        soft = active_rms(other, activity(other, kind))
        assert 20 * np.log10(loud) == pytest.approx(segment.level, abs=0.1)
        assert 20 * np.log10(loud / soft) == pytest.approx(segment.ratio, abs=0.1)


def test_labels_say_where_each_clean_source_sounds():
    scene = compose(Shelf(), 30.0, PLAIN, np.random.default_rng(2))
    assert scene.active.shape == (3000, 3)
    for column in range(3):
        cells = scene.stems[column].reshape(-1, CELL_SAMPLES)
        silent = ~(np.abs(cells) > 1e-4).any(axis=1)
        labelled = scene.active[:, column]
        assert not labelled[with_hangover(~silent, 50) == False].any()  # noqa: E712  nothing labelled long after it ended
        assert labelled[~silent].mean() > 0.95


def test_the_microphone_noise_hides_what_is_under_it():
    loud_floor = Mix(
        **{**{f: getattr(PLAIN, f) for f in PLAIN.__dataclass_fields__}, "self_noise_dbfs": (0.0, 0.0)}
    )
    assert not compose(Shelf(), 12.0, loud_floor, np.random.default_rng(0)).active.any()


@pytest.mark.parametrize("mix", [TRAIN, HARD, PLAIN_VALIDATION, HARD_NO_SPEECH])
def test_a_seed_is_a_scene(mix):
    one, two, other = (compose(Shelf(), 20.0, mix, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.samples, two.samples)
    np.testing.assert_array_equal(one.active, two.active)
    assert one.segments == two.segments
    assert not np.array_equal(one.samples, other.samples)
    assert np.abs(one.samples).max() <= 1.0
    assert one.samples.dtype == np.float32


def test_scenes_without_speech_hold_none():
    scene = compose(Shelf(), 60.0, HARD_NO_SPEECH, np.random.default_rng(0))
    assert not scene.active[:, 0].any()
    assert scene.active.any()


def test_silence_has_no_level_to_set():
    np.testing.assert_array_equal(at_level(np.zeros(320, np.float32), np.zeros(2, bool), -20), np.zeros(320))


@pytest.mark.parametrize("codec", effects.CODECS)
def test_codecs_keep_the_length_and_the_time(codec):
    time = np.arange(32000) / 16000
    chirp = (0.4 * np.sin(2 * np.pi * (400 + 400 * time) * time) * (time > 0.5)).astype(np.float32)
    out = effects.through_codec(chirp, codec, np.random.default_rng(0))
    assert len(out) == len(chirp)
    lag = np.argmax(np.correlate(out[8000:20000], chirp[9000:19000], "valid")) - 1000
    assert abs(lag) <= 80  # 5 ms: labels stay where they are


def test_rooms_keep_the_energy():
    for seed in range(5):
        response = effects.room_response(np.random.default_rng(seed))
        assert np.sum(response**2) == pytest.approx(1.0, rel=1e-4)


def test_made_sounds_are_finite_and_of_the_asked_length():
    rng = np.random.default_rng(0)
    for maker in synthetic.MAKERS:
        out = maker(8000, rng)
        assert out.shape == (8000,)
        assert np.isfinite(out).all()
        assert out.std() > 0
    spoken = rng.standard_normal(9000).astype(np.float32)
    assert singing.sing(spoken, 12000, rng).shape == (12000,)
    hiss = synthetic.self_noise(16000, -60.0, rng)
    assert 20 * np.log10(hiss.std()) == pytest.approx(-60, abs=0.2)


def test_a_beat_comes_again():
    rng = np.random.default_rng(4)
    played = beats.beat(Shelf(), 16000 * 8, rng)
    assert played.shape == (16000 * 8,)
    assert np.isfinite(played).all()
    assert played.std() > 0
    np.testing.assert_array_equal(played, beats.beat(Shelf(), 16000 * 8, np.random.default_rng(4)))


def test_a_tune_is_the_same_again_and_ends_its_notes_softly():
    for seed in range(12):  # all four manners
        played = notes.tune(Shelf(), 16000 * 8, np.random.default_rng(seed))
        assert played.shape == (16000 * 8,)
        assert np.isfinite(played).all()
        np.testing.assert_array_equal(played, notes.tune(Shelf(), 16000 * 8, np.random.default_rng(seed)))
        assert played.std() > 0
        assert np.abs(np.diff(played)).max() < np.abs(played).max() / 2  # 440 Hz without clicks


def _soundfont(path: Path, rate: int = 8000) -> None:
    """Four sounds: a note that dies away, one that is held by a loop, its right half, and a drum."""
    tone = (np.sin(np.arange(rate // 2) * 0.3) * 9000).astype("<i2")
    rows, samples = [], np.concatenate([tone] * 4)
    for index, (name, loop, kind) in enumerate(
        [
            ("Harp C#4(L)", (0, 0), 4),
            ("Reed A3", (1000, 3000), 1),
            ("Reed A3(R)", (1000, 3000), 2),
            ("Clap", (0, 0), 1),
        ]
    ):
        start = index * len(tone)
        rows.append(
            soundfont.SAMPLE_HEADER.pack(
                name.encode(),
                start,
                start + len(tone),
                start + loop[0],
                start + loop[1],
                rate,
                60,
                0,
                0,
                kind,
            )
        )

    def chunk(name: bytes, content: bytes) -> bytes:
        return name + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)

    table = b"".join(rows) + bytes(soundfont.SAMPLE_HEADER.size)
    lists = chunk(b"LIST", b"sdta" + chunk(b"smpl", samples.tobytes())) + chunk(
        b"LIST", b"pdta" + chunk(b"shdr", table)
    )
    path.write_bytes(chunk(b"RIFF", b"sfbk" + lists))


def test_a_soundfont_gives_notes_by_pitch(tmp_path):
    _soundfont(tmp_path / "made.sf2")
    soundfont.unpack(tmp_path / "made.sf2", tmp_path / "out")
    found = {str(path.relative_to(tmp_path / "out")): path for path in (tmp_path / "out").rglob("*.wav")}
    assert set(found) == {"harp/061.wav", "reed/057.wav"}
    assert soundfile.info(found["harp/061.wav"]).duration == 0.5
    assert soundfile.info(found["reed/057.wav"]).duration == 3.0  # held by its loop


def test_work_in_processes_comes_back_in_order():
    assert list(parallel.run_parallel(1, math.sqrt, [(4.0,), (9.0,)])) == [2, 3]
    roots = parallel.run_parallel(2, math.sqrt, [(4.0,), (9.0,), (16.0,), (-1.0,), (25.0,)])
    assert [next(roots) for _ in range(3)] == [2, 3, 4]
    with pytest.raises(ValueError, match="math domain"):
        next(roots)
    with pytest.raises(ExportError, match="2 jobs: one was killed"):
        list(parallel.run_parallel(2, os._exit, [(1,), (1,)]))


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb is not installed")
def test_a_package_is_fetched_into_an_empty_cache(tmp_path, monkeypatch):
    tree = tmp_path / "made"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: tones\nVersion: 1\nArchitecture: all\nMaintainer: nobody <no@example.org>\nDescription: tones\n"
    )
    (tree / "usr/share/tones").mkdir(parents=True)
    tone = np.sin(np.arange(8000) * 0.3).astype(np.float32)
    soundfile.write(tree / "usr/share/tones/long.wav", tone, 8000)
    soundfile.write(tree / "usr/share/tones/short.wav", tone[:100], 8000)
    with zipfile.ZipFile(tree / "usr/share/tones/more.zip", "w") as pack:
        pack.write(tree / "usr/share/tones/long.wav", "in/the/pack.wav")
        pack.writestr("notes.txt", "no sound")
    tools = tmp_path / "bin"
    tools.mkdir()
    subprocess.run(
        ["dpkg-deb", "-b", str(tree), str(tools / "tones_1_all.deb")],
        check=True,
        capture_output=True,
        timeout=60,
    )
    # The one thing that is not there in a test is the network.
    (tools / "apt-get").write_text(f'#!/bin/sh\ncp {tools}/"$3"_1_all.deb . || exit 100\n')
    (tools / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    tones = Corpus("tones", "CC0", (Rule(r"\.wav$", "music", "train", "one", (0.5, 9.0)),))
    monkeypatch.setattr(gather, "PACKAGES", (tones,))
    bank = gather.gather(tmp_path / "cache")
    index = json.loads((bank / "tones.json").read_text())
    assert [row["path"] for row in index["clips"]] == [
        "usr/share/tones/long.wav", "usr/share/tones/more.unpacked/in/the/pack.wav"
    ]  # fmt: skip
    assert index["clips"][0]["length"] == 16000
    assert not list((tmp_path / "cache").rglob("*.deb"))
    monkeypatch.setenv("PATH", "")  # what is there is not fetched again
    assert gather.gather(tmp_path / "cache") == bank
    monkeypatch.setattr(gather, "PACKAGES", (Corpus("more", "CC0", tones.rules),))
    with pytest.raises(DataError, match="apt-get: not found"):
        gather.gather(tmp_path / "cache")


def test_a_melody_holds_its_notes():
    pitch = singing.melody(1000, np.random.default_rng(1))
    slow = np.abs(np.diff(np.log2(pitch)) * 12) < 0.3  # semitones a hundredth of a second
    assert slow.mean() > 0.7


def test_no_reserved_source_is_used():
    assert not {corpus.name for corpus in (*PACKAGES, *FOLDERS)} & set(RESERVED)


def test_every_corpus_states_a_licence_that_allows_a_shipped_model():
    for corpus in (*PACKAGES, *FOLDERS):
        assert corpus.licence
        assert not re.search(r"\bN[CD]\b|non-?commercial", corpus.licence, re.I), corpus.name


def test_rules_send_a_speaker_to_one_side():
    by_name = {corpus.name: corpus for corpus in (*PACKAGES, *FOLDERS)}

    def side(corpus, path):
        found = by_name[corpus].rule_for(path)
        return None if found is None else (found[0].kind, found[0].split)

    assert side("klettres-data", "usr/share/klettres/da/alpha/a.ogg") == ("speech", "validation")
    assert side("ktuberling-data", "usr/share/ktuberling/sounds/da/eye.wav") == ("speech", "validation")
    assert side("klettres-data", "usr/share/klettres/fr/alpha/a.ogg") == ("speech", "train")
    assert side("asterisk-core-sounds-en-g722", "x/en_US_f_Allison/beep.g722") is None
    assert side("fillets-ng-data-cs", "sound/bar/cs/bar-x-gr2.ogg") is None
    assert side("fillets-ng-data-cs", "sound/bar/cs/bar-m-videt1.ogg") == ("speech", "train")
    assert side("openarena-data", "sound/voices/festivoxmale/a.wav") is None
    assert side("commands", "validation/bed/00176480_nohash_0.flac") == ("speech", "validation")
    assert side("trigger-rally-data", "data.unpacked/sounds/codriver/paula/Cut.wav") == (
        "speech",
        "validation",
    )
    assert side("trigger-rally-data", "data.unpacked/sounds/codriver/tim/Cut.wav") == ("speech", "train")
    assert side("megaglest-data", "a/commondata/sounds/archer_ack3.wav") == ("speech", "train")
    assert side("megaglest-data", "a/commondata/sounds/daemon_ack3.wav") is None
    assert side("megaglest-data", "a/commondata/sounds/guard_attack3.wav") is None
    assert side("boswars-data", "a/units/jet/jet.underattack.wav") is None
    assert side("boswars-data", "a/units/buggy/buggy_attack.wav") == ("noise", "train")
    assert side("netpanzer-data", "sound/scream_1.wav") is None
    assert side("ufoai-sound", "sound/soldiers/maledeath01.ogg") is None
    assert side("hydrogen-drumkits", "drumkits/VariBreaks/a.flac") == ("drums", "train")
    assert side("qabcs-data", "abcs/uk/sounds/words/a.ogg") is None  # something like it is in validation
    assert side("qabcs-data", "abcs/pl/sounds/words/a.ogg") == ("speech", "train")
    assert side("0ad-data", "public.unpacked/audio/actor/human/death/a.ogg") is None
    assert side("0ad-data", "public.unpacked/audio/voice/latin/civ/a.ogg") == ("speech", "train")
    assert side("berusky2-data", "berusky2/sound/sound/voc1.wav") is None
    assert side("fluid-soundfont-gm", "sf2/FluidR3_GM.unpacked/ahh-choir/060.wav") == ("notes", "train")
    assert side("ambience", "clock-sfx-rain.ogg") == ("noise", "validation")


def _bank(folder: Path) -> Path:
    rows, samples = [], []
    rng = np.random.default_rng(0)
    for split in ("train", "validation"):
        for kind in KINDS:
            for group in range(2):
                rows.append({"path": f"{split}-{kind}-{group}", "start": 16000 * len(rows), "length": 16000,
                             "kind": kind, "split": split, "group": f"{split}:{kind}:{group}"})  # fmt: skip
                samples.append((rng.standard_normal(16000) * 3000).astype("<i2"))
    folder.mkdir(exist_ok=True)
    np.concatenate(samples).tofile(folder / "made.i16")
    (folder / "made.json").write_text(json.dumps({"licence": "CC0", "unread": [], "clips": rows}))
    return folder


def test_other_tools_get_the_very_streams_of_the_validation(tmp_path, monkeypatch, capsys):
    """The scenes are composed again to the sample, and a prediction that is the truth scores one."""
    _bank(tmp_path / "bank")
    wanted = StreamSet("plain", "hard", HARD, 2, 8.0, 7)
    kept = make_streams(
        Bank(tmp_path / "bank", "validation"),
        HARD,
        SPEC,
        tmp_path / "made",
        count=2,
        seconds=8.0,
        seed=7,
    )
    composed = list(compose_again(tmp_path, wanted))
    np.testing.assert_array_equal(np.stack([scene.active for scene in composed]), kept.active)
    again = mfcc(composed[1].samples, SPEC).astype(np.float16)
    np.testing.assert_array_equal(again, kept.features[1])

    truth = np.concatenate([scene.active for scene in composed])
    column = next(c for c in range(3) if 0 < truth[:, c].mean() < 1)
    kind, in_turn = KINDS[column], iter(composed)
    monkeypatch.setattr(
        peers, "VALIDATION_SETS", (wanted, StreamSet("plain-no-speech", "hard", HARD_NO_SPEECH, 1, 8.0, 8))
    )
    monkeypatch.setattr(peers, "TOOLS", (
        ("json", "numpy", lambda: lambda samples: {kind: next(in_turn).active[:, column] * 0.9}, {kind: 0.5}),
        ("no_such_tool", "no-such-tool", list, {"speech": 0.5}),
    ))  # fmt: skip
    monkeypatch.setattr("sys.argv", ["peers", "--cache", str(tmp_path)])
    assert peers.main() == 0
    shown = capsys.readouterr()
    assert f"| {kind} | 0.500 | 1.000 | 1.000 | 1.000 |" in shown.out
    assert shown.err == "left out: no-such-tool is not installed\n"
    monkeypatch.setattr("sys.argv", ["peers", "--cache", str(tmp_path / "nowhere")])
    assert peers.main() == 1
    assert "error: " in (last := capsys.readouterr().err.splitlines()[-1]), last
    assert "gather the corpora first" in last
    monkeypatch.setattr(peers, "TOOLS", ())
    assert peers.main() == 1


@pytest.mark.skipif(os.name == "nt", reason="kill -9 of POSIX")
def test_workers_end_with_the_process_that_they_work_for(tmp_path):
    """Killed, it cannot tell them; left alone they would continue, and overwrite what the next run makes."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys, time\n"
        "from pathlib import Path\n"
        "from export.recipes.speech_music_noise.parallel import run_parallel\n\n\n"
        "def work(path):\n"
        "    for _ in range(1200):\n"
        "        path.write_text(str(time.time()))\n"
        "        time.sleep(0.1)\n\n\n"
        "if __name__ == '__main__':\n"
        "    list(run_parallel(2, work, [(Path(name),) for name in sys.argv[1:]]))\n"
    )
    beats = [tmp_path / name for name in ("one", "two")]
    command = [sys.executable, str(script), *map(str, beats)]
    with running(subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.getcwd()})) as parent:
        _until(lambda: all(path.is_file() for path in beats), "the workers begin")
        parent.kill()
    # A worker that is alive beats ten times a second.
    _until(lambda: all(time.time() - path.stat().st_mtime > 3 for path in beats), "the workers end")


def _until(done, what, seconds=60.0):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"in vain: {what}"
        time.sleep(0.1)


def test_further_draws_are_other_scenes_and_the_first_is_what_the_card_was_measured_on(
    tmp_path, monkeypatch, capsys
):
    """Two files of one model are nowhere apart; two models are, by what their own reports say."""
    _bank(tmp_path / "bank")
    sets = tuple(StreamSet(f"{side}{rest}", "hard", HARD_NO_SPEECH if rest else HARD, 2, 8.0, 7)
                 for side in ("plain", "hard") for rest in ("", "-no-speech"))  # fmt: skip
    monkeypatch.setattr(draws, "VALIDATION_SETS", sets)
    first, other = (load_set(tmp_path, draws.draw_of("plain", draw)) for draw in (0, 1))
    assert first.active.shape == other.active.shape
    assert (first.active != other.active).any()

    twin = tmp_path / "twin.onnx"
    shutil.copy("assets/small.onnx", twin)
    monkeypatch.setattr(
        "sys.argv",
        ["draws", "assets/small.onnx", str(twin), "assets/default.onnx",
         "--cache", str(tmp_path), "--draws", "2", "--jobs", "1"],
    )  # fmt: skip
    assert draws.main() == 0
    rows = [
        line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if " F1 | " in line
    ]
    assert [row[0] for row in rows[:12:3]] == [f"{kind} F1" for kind in (*KINDS, "silence")]
    assert all(row[6:] == ["+0.000", "+0.000"] for row in rows if row[1] == str(twin))
    apart = next(row for row in rows if row[:2] == ["silence F1", "assets/default.onnx"])
    own, beside = (
        report(Model.load(path, provider="cpu"), ValidationStreams(first, first), 0.0)["frames"]["silence"][
            "f1"
        ]
        for path in ("assets/default.onnx", "assets/small.onnx")
    )
    assert (apart[2], apart[6]) == (f"{own:.3f}", f"{own - beside:+.3f}")


def test_what_cannot_be_measured_on_draws_is_refused_in_one_line(tmp_path, monkeypatch, capsys):
    for words, expected in (
        (
            ["assets/small.onnx", "--cache", str(tmp_path / "nowhere"), "--jobs", "1"],
            "gather the corpora first",
        ),
        (["no-such.onnx"], "no-such.onnx"),
    ):
        monkeypatch.setattr("sys.argv", ["draws", *words])
        assert draws.main() == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: "), line
        assert expected in line
    monkeypatch.setattr("sys.argv", ["draws", "assets/small.onnx", "--draws", "0"])
    with pytest.raises(SystemExit):
        draws.main()


def test_a_bank_gives_the_clips_of_its_side_only(tmp_path):
    folder = _bank(tmp_path / "bank")
    rng = np.random.default_rng(0)
    drawn = {
        split: {Bank(folder, split).draw(kind, rng).group for kind in KINDS for _ in range(40)}
        for split in ("train", "validation")
    }
    assert len(drawn["train"]) == len(drawn["validation"]) == 6
    assert not drawn["train"] & drawn["validation"]
    bank = Bank(folder, "train")
    clip = bank.draw("speech", rng)
    assert bank.more(clip, "speech", rng).group == clip.group
    assert bank.read(clip, 15000, 5000).shape == (1000,)


def batches_of(data, **changes):
    return LongStreamBatches(data.features, data.labels, **{"rows": 2, "chunk": 100, "seed": 1, **changes})


def test_streams_are_made_once_and_played_in_order(tmp_path):
    bank = Bank(_bank(tmp_path / "bank"), "train")
    made = {"count": 3, "seconds": 8.0, "seed": 4}
    data = make_streams(bank, TRAIN, SPEC, tmp_path / "streams", **made)
    again = make_streams(bank, TRAIN, SPEC, tmp_path / "elsewhere", **made)
    np.testing.assert_array_equal(np.asarray(data.features), np.asarray(again.features))
    assert data.features.shape == (3, 1 + (8 * 16000 - 512) // 320, 24)
    channel = ChannelAugmentation(SPEC, gain_db=2.0, narrow=0.5)
    play = batches_of(data, augmentation=channel)
    batches = list(play(0))
    assert len(batches) == len(play(0)) == 3
    assert batches[0].reset.all()  # the first streams of an epoch begin in the initial state
    assert not batches[1].reset.any()
    for one, two in zip(batches, play(0), strict=True):
        assert torch.equal(one.features, two.features)
    assert not torch.equal(batches[0].features, next(iter(play(1))).features)
    late = list(batches_of(data, augmentation=channel, delay=3)(0))
    for now, then in zip(batches, late, strict=True):  # the same sound, its labels three rows later
        assert torch.equal(now.features, then.features)
        assert torch.equal(now.targets[:, :-3], then.targets[:, 3:])
    other = batches_of(again, seed=2)
    turns = Curriculum((play, play, other))
    assert [turns(epoch).source for epoch in range(3)] == [play, play, other]


def test_a_published_network_is_between_its_best_pass_and_its_last(tmp_path):
    bank = Bank(_bank(tmp_path / "bank"), "train")
    data = make_streams(bank, TRAIN, SPEC, tmp_path / "streams", count=2, seconds=8.0, seed=4)
    model = new_network(preset("gru", features=24, classes=3, hidden=8), data, seed=1)
    play = batches_of(data)
    turns = iter((1.0, 0.0))
    fitting = FitConfig(activation="sigmoid", epochs=2, learning_rate=0.01, average=0.5, monitor="score")
    train(
        model, Curriculum((play, play)), lambda _: {"score": next(turns)}, fitting, folder=tmp_path
    )  # best: the first
    best = {name: value.clone() for name, value in model.state_dict().items()}
    average_best_and_last(model, tmp_path)
    last = torch.load(tmp_path / "last.pt", weights_only=True)["averaged"]
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, (best[name] + last[name]) / 2)
    assert any(not torch.equal(best[name], last[name]) for name in best)


def test_teacher_targets_are_mixed_with_the_labels_by_their_share(tmp_path):
    bank = Bank(_bank(tmp_path / "bank"), "train")
    data = make_streams(bank, TRAIN, SPEC, tmp_path / "streams", count=2, seconds=8.0, seed=4)
    torch.manual_seed(0)
    config = preset("gru", features=24, classes=3, hidden=8)
    models = [new_network(config, data, seed=1), new_network(config, data, seed=2)]
    teacher = teacher_targets(models, data, tmp_path / "targets.npy")
    np.testing.assert_array_equal(teacher_targets([], data, tmp_path / "targets.npy"), teacher)
    one, two = (network_probs(model, data) for model in models)
    assert (teacher >= np.minimum(one, two) - 1e-3).all()
    assert (teacher <= np.maximum(one, two) + 1e-3).all()
    plain = next(iter(batches_of(data, delay=2)(0)))
    taught = batches_of(data, delay=2, teacher_targets=teacher, teacher_share=0.25)
    mixed = next(iter(taught(0)))
    taught_share = (mixed.targets - 0.75 * plain.targets) / 0.25
    parts = [torch.from_numpy(teacher[:, at : at + 100].astype(np.float32)) for at in range(teacher.shape[1])]
    assert any(
        torch.allclose(taught_share, each, atol=1e-3) for each in parts if each.shape == taught_share.shape
    )


def test_frame_labels_are_those_at_the_middle_of_the_frame():
    active = np.zeros((100, 3), bool)
    active[10:, 0] = True  # from sample 1600 on
    labels = frame_labels(active, 20, SPEC)
    first = int(np.flatnonzero(labels[:, 0])[0])
    assert first * 320 + 256 >= 1600 > (first - 1) * 320 + 256
    spread = stream_cells(labels.astype(np.float32), 100, SPEC, 0)
    assert np.abs(spread[:, 0] - active[:, 0]).sum() <= 2
    late = np.pad(labels, ((3, 0), (0, 0)))[:-3].astype(np.float32)
    np.testing.assert_array_equal(stream_cells(late, 90, SPEC, 3), spread[:90])


def test_a_threshold_of_hundredths_is_the_best_or_the_highest_that_is_nearly_so():
    rng = np.random.default_rng(0)
    true = rng.random(400) < 0.3
    score = (rng.random(400) + true).astype(np.float32)
    assert f1_score(true, true) == 1.0
    assert f1_score(~true, true) == 0.0
    threshold, best = best_threshold(score / 2, true)
    assert best == pytest.approx(
        max(f1_score(score / 2 >= step, true) for step in np.arange(0.05, 0.96, 0.01))
    )
    assert 0.05 <= threshold <= 0.95
    higher, nearly = best_threshold(score / 2, true, tolerance=0.02)
    assert higher >= threshold
    assert nearly >= best - 0.02


def _streams(active: np.ndarray) -> ComposedStreams:
    """Streams with the given labels (S, cells, 3), and labels of frames instead of features."""
    frames = 1 + (active.shape[1] * CELL_SAMPLES - 512) // 320
    labels = np.stack([frame_labels(each, frames, SPEC) for each in active])
    return ComposedStreams(labels.astype(np.float16), labels, active.astype(np.uint8), [[]] * len(active))


def _square(cells: int, spans: list[tuple[int, int]]) -> np.ndarray:
    """(1, cells, 3) bool, speech in the given 10 ms cells."""
    active = np.zeros((1, cells, 3), bool)
    for start, end in spans:
        active[0, start:end, 0] = True
    return active


def test_events_of_streams_count_false_missed_and_late():
    data = _streams(_square(2000, [(200, 500), (900, 1200), (1700, 1900)]))
    predicted = _streams(_square(2000, [(210, 500), (900, 1200), (1400, 1500)])).labels.astype(np.float32)
    rules = DetectorSpec(classes={"speech": ClassRule(min_on=0.1, min_off=0.1, smoothing=0.0)})
    (one,) = predictions(predicted, data, rules, SPEC, 0)
    assert isinstance(one, Prediction)
    assert [(e.onset, e.offset) for e in one.reference or ()] == [(2.0, 5.0), (9.0, 12.0), (17.0, 19.0)]
    found = event_figures([one], ("speech",))["classes"]["speech"]
    assert found["false_alarms_per_hour"] == pytest.approx(3600 / 20)
    assert found["missed_share"] == pytest.approx(1 / 3)
    assert 0.1 <= found["median_delay_seconds"] <= 0.25


def test_calibration_takes_the_quickest_rule_that_is_quiet_enough():
    active = _square(3000, [(500, 1500), (2000, 2500)])
    active[..., 1] = active[..., 2] = active[..., 0]
    mixed, without = _streams(active), _streams(np.zeros_like(active))
    data = ValidationStreams(mixed, without)
    probs = mixed.labels.astype(np.float32) * 0.8
    clicks = np.zeros_like(probs)
    clean = calibrate(*[[ScoredValidation(data, probs, clicks)]] * 2, SPEC)
    clicks[0, ::200, 0] = 0.8  # of one frame
    clicks[0, 1::200, 0] = 0.8
    clicking = calibrate(*[[ScoredValidation(data, probs, clicks)]] * 2, SPEC)
    assert set(clean.classes) == set(KINDS)
    assert clean.rule("speech").peak_threshold is None
    assert clicking.rule("speech") != clean.rule("speech")
    (silent,) = predictions(clicks, without, clicking, SPEC, 0)
    assert not [e for e in silent.events if e.label == "speech"]
    assert clicking.rule("music") == clean.rule("music")


def test_the_best_rule_is_quick_and_if_none_is_silent_the_one_with_fewest_false_alarms():
    quick, slow, deaf = (ClassRule(min_on=seconds) for seconds in (0.1, 0.2, 0.3))

    def chosen(*rules: tuple[ClassRule, float, float, float]) -> ClassRule:
        return choose([RuleFigures(*each) for each in rules], "speech")

    assert chosen((slow, 0.5, 0.1, 0.14), (quick, 0.9, 0.1, 0.1)) is quick
    assert chosen((slow, 5.0, 0.1, 0.14), (quick, 9.0, 0.1, 0.1)) is slow
    assert chosen((slow, 5.0, 0.1, 0.14), (deaf, 0.0, 0.9, 0.14)) is slow
    assert chosen((slow, 5.0, 0.1, 0.14), (deaf, 0.0, 0.1, 0.4)) is slow


def test_a_report_becomes_tables():
    flat = np.eye(3, dtype=np.float32)[np.arange(300) % 3]
    truth = flat > 0.5
    rows = [{"start": 0, "end": 100 * CELL_SAMPLES, "kinds": ["speech", "music"], "ratio": 7.0}]
    cells = by_condition(flat[None], truth[None], [rows], [0.5] * 3)
    assert cells["speech+music 5 to 10 dB"]["speech recall"] == 1.0
    assert "| speech | 0.500 |" in table(["a", "b"], [["speech", 0.5]])


def test_every_round_comes_as_often_as_it_should():
    data = RecipeData(("a", "b", "c"), None, None, {}, "")
    order = data.round_order(seed=1, passes=4)
    assert [set(order[at : at + 3]) for at in range(0, 12, 3)] == [{0, 1, 2}] * 4
    assert order == data.round_order(seed=1, passes=4)
    assert len({data.round_order(seed, 4) for seed in range(5)}) > 1


def test_a_card_says_what_evaluate_says(tmp_path):
    """The demo as a composed stream, and as a labelled file: one definition of every figure."""
    rows = [line.split("\t") for line in Path("assets/demo.tsv").read_text().splitlines()[1:]]
    lines = [f"{Path('assets/demo.ogg').absolute()}\t" + "\t".join(row) for row in rows]
    (tmp_path / "demo.tsv").write_text("\n".join(["filename\tonset\toffset\tevent_label", *lines]) + "\n")
    samples, rate = soundfile.read("assets/demo.ogg", dtype="float32")
    active = np.zeros((1, len(samples) * 100 // rate, 3), bool)
    for onset, offset, label in rows:
        span = slice(round(100 * float(onset)), round(100 * float(offset)))
        active[0, span, KINDS.index(label)] = True
    model = Model.bundled("small", provider="cpu")
    features = mfcc(samples, model.card.features)
    labels = frame_labels(active[0], len(features), model.card.features)
    demo = ComposedStreams(features[None], labels[None], active.astype(np.uint8), [[]])
    card = report(model, ValidationStreams(demo, demo), carried_hours=0.0)
    found = evaluate(model, str(tmp_path / "demo.tsv")).report["alone"]
    for kind in KINDS:
        for name in ("f1", "precision", "recall", "roc_auc"):
            assert card["frames"][kind][name] == pytest.approx(
                found["frames"]["classes"][kind][name], abs=5e-4
            )
        assert card["events"][kind] == found["events"]["classes"][kind]
    silence = found["frames"]["none_of_them"]["f1"]
    assert card["frames"]["silence"]["f1"] == pytest.approx(silence, abs=5e-4)
    assert card["false_speech_per_hour"] == found["events"]["classes"]["speech"]["false_alarms_per_hour"]


@pytest.fixture
def one_thread():
    """Recurrent layers this small are many times slower when threads wait for each other at every frame."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_the_recipe_from_streams_to_a_proven_file(tmp_path, monkeypatch, capsys):
    """Everything but the downloads, small: teachers, their targets, a published network, its file, card and tables."""
    _bank(tmp_path / "bank")
    monkeypatch.setattr(data_module, "gather", lambda cache, recordings, jobs: cache / "bank")
    monkeypatch.setattr(data_module, "STREAM_SECONDS", 8.0)
    monkeypatch.setattr(data_module, "TRAIN", HARD)  # the bank has no drums and no notes
    names = ("plain", "plain-no-speech", "hard", "hard-no-speech")
    sets = [
        StreamSet(name, "hard", HARD_NO_SPEECH if "no-speech" in name else HARD, 3, 24.0, 7) for name in names
    ]
    monkeypatch.setattr(data_module, "VALIDATION_SETS", tuple(sets))
    monkeypatch.setattr(data_module, "FURTHER_DRAWS", 1)
    case_sets = (StreamSet("case-bangs", "hard", HARD_NO_SPEECH, 2, 24.0, 7),)
    monkeypatch.setattr(data_module, "CASE_SETS", case_sets)
    tiny = {**COMMON_SHAPE, "channels": 2, "hidden": 6}
    monkeypatch.setattr(distillation, "NETWORK_SHAPES", {"default": tiny, "small": tiny})
    whole = report_module.model_probs
    monkeypatch.setattr(report_module, "model_probs", lambda model, data, hours=0.0: whole(model, data))
    ones = dict.fromkeys(("teacher", "default", "small"), 1)
    settings = RecipeSettings(
        hours=32 * 8 / 3600,
        rounds=2,
        teacher_seeds=(1, 2),
        passes=ones,
        without=tuple(CASES),
        level_memory=100,
    )

    ((name, made),) = build(["default"], tmp_path, None, settings, tmp_path / "out", jobs=1)
    card = Model.load(tmp_path / "out" / f"{name}.onnx", provider="cpu").card
    assert (card.labels, card.delay, card.features) == (KINDS, DELAY_FRAMES, FEATURES)
    assert set(card.metrics["frames"]) == {*KINDS, "silence"}
    measured = made["plain"]["frames"]["noise"]["f1"]
    assert card.metrics["frames"]["noise"]["f1"] == pytest.approx(measured, abs=1e-4)
    assert card.provenance["seed"] == settings.seeds[name]
    assert "down to 20 dB under" in card.description
    assert list(card.metrics["cases"]) == ["bangs"]
    assert set(card.metrics["cases"]["bangs"]) == set(CASES["bangs"].figures)
    runs = tmp_path / "runs" / settings.variant
    assert "| bangs | separate bangs" in (runs / f"{name}-report.md").read_text()
    assert (runs / f"{name}-report.md").read_text().count("### On the") == 2
    assert len(list(runs.glob("teacher-targets-*.npy"))) == 2
    capsys.readouterr()
    assert distillation.train_teacher(tmp_path, settings, 1) > 0
    assert "pass 1 of" not in capsys.readouterr().err, "what is done is kept"

    # And further, from the file: its weights are found in it, and move.
    monkeypatch.setattr(further_module, "SHARES", (1.0,))
    further = build_further(
        ["default"], tmp_path, None, settings, tmp_path / "further", 1, start=tmp_path / "out", passes=2
    )
    assert [name for name, _ in further] == ["default"]
    assert "pass 2 of 2" in capsys.readouterr().err
    first, second = (
        Model.load(tmp_path / folder / "default.onnx", provider="cpu") for folder in ("out", "further")
    )
    rows = load_set(tmp_path, sets[0]).features[:1, :200].astype(np.float32)
    one, two = (model.step(rows, model.initial_state())[0] for model in (first, second))
    assert 0 < np.abs(one - two).max() < 0.5
