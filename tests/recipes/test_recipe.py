"""The recipe of the bundled model: composition is exact, repeatable and keeps the sides of the split apart."""

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

import msgspec
import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from export.models import preset  # noqa: E402
from export.recipes.rooms import jobs  # noqa: E402
from export.recipes.rooms.lessons.dataset import Playlist, Programme, Trial, frame_labels, make_streams  # noqa: E402
from export.recipes.rooms.lessons.figures import (  # noqa: E402
    best_threshold,
    by_condition,
    detect,
    event_figures,
    f1,
    on_grid,
)
from export.recipes.rooms.lessons.network import fresh, opinion, scores, settle, train  # noqa: E402
from export.recipes.rooms.lessons.prepare import Data, Order, again, streams  # noqa: E402
from export.recipes.rooms.lessons.shake import Shaker  # noqa: E402
from export.recipes.rooms.release import draws, peers  # noqa: E402
from export.recipes.rooms.release.calibrate import Heard, Tried, calibrate, choose  # noqa: E402
from export.recipes.rooms.release.report import confusion, reliability, report  # noqa: E402
from export.recipes.rooms.release.tables import table  # noqa: E402
from export.recipes.rooms.scenes import beats, effects, notes, singing, synthetic  # noqa: E402
from export.recipes.rooms.scenes.compose import at_level, compose  # noqa: E402
from export.recipes.rooms.scenes.labels import GRID, active_rms, activity, held, runs  # noqa: E402
from export.recipes.rooms.scenes.mix import PLAIN as PLAIN_VALIDATION  # noqa: E402
from export.recipes.rooms.scenes.mix import QUIET, TRAIN, VALIDATION, Mix  # noqa: E402
from export.recipes.rooms.sources import gather, soundfont  # noqa: E402
from export.recipes.rooms.sources.bank import Bank, Clip  # noqa: E402
from export.recipes.rooms.sources.corpora import FOLDERS, PACKAGES  # noqa: E402
from export.recipes.rooms.sources.rules import KINDS, Corpus, Rule  # noqa: E402
from export.training import FitConfig  # noqa: E402
from stream.decisions.spec import ClassRule, DetectorSpec  # noqa: E402
from stream.errors import DataError, ExportError, SpecError  # noqa: E402
from stream.features.mfcc import mfcc  # noqa: E402
from stream.features.spec import MfccSpec  # noqa: E402
from stream.inference.session import Model  # noqa: E402
from tests.support.command import running  # noqa: E402

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
    seconds=(6.0, 6.0),
    ratio={("speech", "music"): (7.0, 7.0), ("speech", "noise"): (-3.0, -3.0)},
    floor=(-120.0, -120.0),
    made_noise=0.0,
    sung=0.0,
    drummed=0.0,
    played=0.0,
    vary=False,
)


def test_activity_follows_the_energy_and_holds_on():
    samples = np.zeros(16000, np.float32)
    samples[4000:8000] = np.sin(np.arange(4000) * 0.2)
    on = activity(samples, "speech")
    assert runs(on) == [(25, 50 + 15)]  # 150 ms of hangover
    assert not activity(np.zeros(1600, np.float32), "noise").any()
    assert not activity(samples, "speech", floor=1.0).any()


def test_hangover_joins_what_is_near():
    on = np.array([1, 0, 0, 1, 0, 0, 0, 0], bool)
    assert held(on, 2).tolist() == [True, True, True, True, True, True, False, False]


def test_ratio_and_level_are_exact():
    scene = compose(Shelf(), 12.0, PLAIN, np.random.default_rng(5))
    for segment in scene.segments[:1]:
        part = slice(segment.start, segment.end)
        speech, music, noise = (np.trim_zeros(scene.tracks[k, part]) for k in range(3))
        other, kind = (music, "music") if "music" in segment.kinds else (noise, "noise")
        loud = active_rms(speech, activity(speech, "speech"))
        soft = active_rms(other, activity(other, kind))
        assert 20 * np.log10(loud) == pytest.approx(segment.level, abs=0.1)
        assert 20 * np.log10(loud / soft) == pytest.approx(segment.ratio, abs=0.1)


def test_labels_say_where_each_clean_source_sounds():
    scene = compose(Shelf(), 30.0, PLAIN, np.random.default_rng(2))
    assert scene.active.shape == (3000, 3)
    for column in range(3):
        cells = scene.tracks[column].reshape(-1, GRID)
        silent = ~(np.abs(cells) > 1e-4).any(axis=1)
        heard = scene.active[:, column]
        assert not heard[held(~silent, 50) == False].any()  # noqa: E712  nothing labelled long after it ended
        assert heard[~silent].mean() > 0.95


def test_the_microphone_noise_hides_what_is_under_it():
    loud_floor = Mix(**{**{f: getattr(PLAIN, f) for f in PLAIN.__dataclass_fields__}, "floor": (0.0, 0.0)})
    assert not compose(Shelf(), 12.0, loud_floor, np.random.default_rng(0)).active.any()


@pytest.mark.parametrize("mix", [TRAIN, VALIDATION, PLAIN_VALIDATION, QUIET])
def test_a_seed_is_a_scene(mix):
    one, two, other = (compose(Shelf(), 20.0, mix, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.samples, two.samples)
    np.testing.assert_array_equal(one.active, two.active)
    assert one.segments == two.segments
    assert not np.array_equal(one.samples, other.samples)
    assert np.abs(one.samples).max() <= 1.0
    assert one.samples.dtype == np.float32


def test_quiet_scenes_hold_no_speech():
    scene = compose(Shelf(), 60.0, QUIET, np.random.default_rng(0))
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
            soundfont.RECORD.pack(
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

    table = b"".join(rows) + bytes(soundfont.RECORD.size)
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
    assert list(jobs.at_once(2, math.sqrt, [(4.0,), (9.0,), (16.0,)])) == [2, 3, 4]
    assert list(jobs.at_once(1, math.sqrt, [(4.0,), (9.0,)])) == [2, 3]
    with pytest.raises(ValueError, match="math domain"):
        list(jobs.at_once(2, math.sqrt, [(-1.0,), (9.0,)]))
    with pytest.raises(ExportError, match="2 jobs: one was killed"):
        list(jobs.at_once(2, os._exit, [(1,), (1,)]))


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
    assert side("qabcs-data", "abcs/uk/sounds/words/a.ogg") is None  # its like is heard in validation
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


def test_other_tools_hear_the_very_streams_of_the_validation(tmp_path, monkeypatch, capsys):
    """The scenes are composed again to the sample, and an answer that is the truth scores one."""
    _bank(tmp_path / "bank")
    order = Order("plain", "hard", VALIDATION, 2, 8.0, 7)
    kept = make_streams(
        Bank(tmp_path / "bank", "validation"),
        VALIDATION,
        SPEC,
        tmp_path / "made",
        streams=2,
        seconds=8.0,
        seed=7,
    )
    composed = list(again(tmp_path, order))
    np.testing.assert_array_equal(np.stack([scene.active for scene in composed]), kept.active)
    heard = mfcc(composed[1].samples, SPEC).astype(np.float16)
    np.testing.assert_array_equal(heard, kept.features[1])

    truth = np.concatenate([scene.active for scene in composed])
    column = next(c for c in range(3) if 0 < truth[:, c].mean() < 1)
    kind, answers = KINDS[column], iter(composed)
    monkeypatch.setattr(peers, "TRIALS", (order, Order("plain-quiet", "hard", QUIET, 1, 8.0, 8)))
    monkeypatch.setattr(peers, "TOOLS", (
        ("json", "numpy", lambda: lambda samples: {kind: next(answers).active[:, column] * 0.9}, {kind: 0.5}),
        ("no_such_tool", "no-such-tool", list, {"speech": 0.5}),
    ))  # fmt: skip
    monkeypatch.setattr("sys.argv", ["peers", "--cache", str(tmp_path)])
    assert peers.main() == 0
    said = capsys.readouterr()
    assert f"| {kind} | 0.500 | 1.000 | 1.000 | 1.000 |" in said.out
    assert said.err == "left out: no-such-tool is not installed\n"
    monkeypatch.setattr("sys.argv", ["peers", "--cache", str(tmp_path / "nowhere")])
    assert peers.main() == 1
    assert "error: " in (last := capsys.readouterr().err.splitlines()[-1]), last
    assert "gather the corpora first" in last
    monkeypatch.setattr(peers, "TOOLS", ())
    assert peers.main() == 1


@pytest.mark.skipif(os.name == "nt", reason="kill -9 of POSIX")
def test_workers_end_with_the_process_that_they_work_for(tmp_path):
    """Killed, it cannot tell them; left alone they would go on, and write over what the next run makes."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys, time\n"
        "from pathlib import Path\n"
        "from export.recipes.rooms.jobs import at_once\n\n\n"
        "def work(path):\n"
        "    for _ in range(1200):\n"
        "        path.write_text(str(time.time()))\n"
        "        time.sleep(0.1)\n\n\n"
        "if __name__ == '__main__':\n"
        "    list(at_once(2, work, [(Path(name),) for name in sys.argv[1:]]))\n"
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
    orders = tuple(Order(f"{side}{quiet}", "hard", QUIET if quiet else VALIDATION, 2, 8.0, 7)
                   for side in ("plain", "hard") for quiet in ("", "-quiet"))  # fmt: skip
    monkeypatch.setattr(draws, "TRIALS", orders)
    first, other = (streams(tmp_path, draws.order_of("plain", draw)) for draw in (0, 1))
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
        report(Model.load(path, provider="cpu"), Trial(first, first), 0.0)["frames"]["silence"]["f1"]
        for path in ("assets/default.onnx", "assets/small.onnx")
    )
    assert (apart[2], apart[6]) == (f"{own:.3f}", f"{own - beside:+.3f}")


def test_what_cannot_be_measured_on_draws_is_refused_in_one_line(tmp_path, monkeypatch, capsys):
    for words, said in (
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
        assert said in line
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


def test_streams_are_made_once_and_played_in_order(tmp_path):
    bank = Bank(_bank(tmp_path / "bank"), "train")
    made = {"streams": 3, "seconds": 8.0, "seed": 4}
    data = make_streams(bank, TRAIN, SPEC, tmp_path / "streams", **made)
    again = make_streams(bank, TRAIN, SPEC, tmp_path / "elsewhere", **made)
    np.testing.assert_array_equal(np.asarray(data.features), np.asarray(again.features))
    assert data.features.shape == (3, 1 + (8 * 16000 - 512) // 320, 24)
    play = Playlist(data, SPEC, rows=2, chunk=100, seed=1, shake=2.0, narrow=0.5)
    batches = list(play(0))
    assert len(batches) == len(play(0)) == 3
    assert batches[0].reset.all()  # the first streams of an epoch begin anew
    assert not batches[1].reset.any()
    for one, two in zip(batches, play(0), strict=True):
        assert torch.equal(one.features, two.features)
    assert not torch.equal(batches[0].features, next(iter(play(1))).features)
    late = list(Playlist(data, SPEC, rows=2, chunk=100, seed=1, shake=2.0, narrow=0.5, delay=3)(0))
    for now, then in zip(batches, late, strict=True):  # the same sound, its labels three rows later
        assert torch.equal(now.features, then.features)
        assert torch.equal(now.targets[:, :-3], then.targets[:, 3:])
    other = Playlist(again, SPEC, rows=2, chunk=100, seed=2)
    turns = Programme((play, play, other))
    assert [turns(epoch).list for epoch in range(3)] == [play, play, other]


def test_a_run_settles_between_its_best_pass_and_its_last(tmp_path):
    bank = Bank(_bank(tmp_path / "bank"), "train")
    data = make_streams(bank, TRAIN, SPEC, tmp_path / "streams", streams=2, seconds=8.0, seed=4)
    model = fresh(preset("gru", features=24, classes=3, hidden=8), data, seed=1)
    play = Playlist(data, SPEC, rows=2, chunk=100, seed=1)
    turns = iter((1.0, 0.0))
    fitting = FitConfig(activation="sigmoid", epochs=2, learning_rate=0.01, average=0.5, monitor="score")
    programme = Programme((play, play))
    train(model, programme, lambda _: {"score": next(turns)}, fitting, folder=tmp_path)  # best: the first
    best = {name: value.clone() for name, value in model.state_dict().items()}
    settle(model, tmp_path)
    last = torch.load(tmp_path / "last.pt", weights_only=True)["averaged"]
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, (best[name] + last[name]) / 2)
    assert any(not torch.equal(best[name], last[name]) for name in best)


def test_a_teacher_is_believed_as_far_as_it_is_trusted(tmp_path):
    bank = Bank(_bank(tmp_path / "bank"), "train")
    data = make_streams(bank, TRAIN, SPEC, tmp_path / "streams", streams=2, seconds=8.0, seed=4)
    torch.manual_seed(0)
    config = preset("gru", features=24, classes=3, hidden=8)
    models = [fresh(config, data, seed=1), fresh(config, data, seed=2)]
    teacher = opinion(models, data, tmp_path / "taught.npy")
    np.testing.assert_array_equal(opinion([], data, tmp_path / "taught.npy"), teacher)
    one, two = (scores(model, data) for model in models)
    assert (teacher >= np.minimum(one, two) - 1e-3).all()
    assert (teacher <= np.maximum(one, two) + 1e-3).all()
    plain = next(iter(Playlist(data, SPEC, rows=2, chunk=100, seed=1, delay=2)(0)))
    taught = Playlist(data, SPEC, rows=2, chunk=100, seed=1, delay=2, teacher=teacher, trust=0.25)
    mixed = next(iter(taught(0)))
    said = (mixed.targets - 0.75 * plain.targets) / 0.25
    heard = [torch.from_numpy(teacher[:, at : at + 100].astype(np.float32)) for at in range(teacher.shape[1])]
    assert any(torch.allclose(said, each, atol=1e-3) for each in heard if each.shape == said.shape)


@pytest.mark.parametrize("n_mfcc", [None, 24])
def test_shaking_changes_level_and_band_and_leaves_silence(n_mfcc):
    spec = msgspec.structs.replace(SPEC, n_mfcc=n_mfcc)
    sound = np.random.default_rng(0).standard_normal(8000).astype(np.float32) * 0.1
    features = mfcc(np.concatenate([sound, np.zeros(8000, np.float32)]), spec)[None]
    rng = np.random.default_rng(1)
    plain = Shaker(spec, 0.0, 0.0)
    np.testing.assert_allclose(plain.put_on(plain.draw(1, rng), features, rng), features, atol=1e-3)
    narrow = Shaker(spec, 0.0, 1.0)
    out = narrow.put_on(narrow.draw(1, rng), features, rng)
    mel = out if n_mfcc is None else out @ narrow.back.T
    was = features if n_mfcc is None else features @ narrow.back.T
    assert (mel[0, :20, -1] < was[0, :20, -1] - 10).all()  # nothing left at the top
    np.testing.assert_allclose(mel[0, :20, 8], was[0, :20, 8], atol=1e-3)  # nothing changed at 1 kHz
    np.testing.assert_allclose(out[0, -10:], features[0, -10:], atol=1e-3)
    with pytest.raises(SpecError):
        Shaker(msgspec.structs.replace(SPEC, n_mfcc=13), 1.0, 0.0)


def test_frame_labels_are_those_at_the_middle_of_the_frame():
    active = np.zeros((100, 3), bool)
    active[10:, 0] = True  # from sample 1600 on
    labels = frame_labels(active, 20, SPEC)
    first = int(np.flatnonzero(labels[:, 0])[0])
    assert first * 320 + 256 >= 1600 > (first - 1) * 320 + 256
    spread = on_grid(labels.astype(np.float32), 100, SPEC)
    assert np.abs(spread[:, 0] - active[:, 0]).sum() <= 2
    late = np.pad(labels, ((3, 0), (0, 0)))[:-3].astype(np.float32)
    np.testing.assert_array_equal(on_grid(late, 90, SPEC, delay=3), spread[:90])


def test_figures_agree_with_their_definitions():
    rng = np.random.default_rng(0)
    true = rng.random(400) < 0.3
    score = (rng.random(400) + true).astype(np.float32)
    assert f1(true, true) == 1.0
    assert f1(~true, true) == 0.0
    threshold, best = best_threshold(score / 2, true)
    assert best == pytest.approx(max(f1(score / 2 >= step, true) for step in np.arange(0.05, 0.96, 0.01)))
    assert 0.05 <= threshold <= 0.95
    higher, nearly = best_threshold(score / 2, true, slack=0.02)
    assert higher >= threshold
    assert nearly >= best - 0.02


def _square(cells: int, spans: list[tuple[int, int]]) -> np.ndarray:
    """(1, cells, 3) bool, speech in the given 10 ms cells."""
    active = np.zeros((1, cells, 3), bool)
    for start, end in spans:
        active[0, start:end, 0] = True
    return active


def test_event_figures_count_false_missed_and_late():
    active = _square(2000, [(200, 500), (900, 1200), (1700, 1900)])
    said = _square(2000, [(210, 500), (900, 1200), (1400, 1500)])
    probs = frame_labels(said[0], 1 + (2000 * GRID - 512) // 320, SPEC).astype(np.float32)
    rules = DetectorSpec(classes={"speech": ClassRule(min_on=0.1, min_off=0.1, smoothing=0.0)})
    found = event_figures([detect(probs, rules, SPEC)], active, "speech")
    assert found["false_per_hour"] == pytest.approx(3600 / 20)
    assert found["missed_share"] == pytest.approx(1 / 3)
    assert 0.1 <= found["onset_delay_median_s"] <= 0.25


def test_calibration_takes_the_quickest_rule_that_is_quiet_enough():
    active = _square(3000, [(500, 1500), (2000, 2500)])
    active[..., 1] = active[..., 2] = active[..., 0]
    frames = 1 + (3000 * GRID - 512) // 320
    probs = frame_labels(active[0], frames, SPEC).astype(np.float32)[None] * 0.8
    quiet = np.zeros_like(probs)
    silent = np.zeros_like(active)
    clean = calibrate(*[Heard(probs, active, quiet, silent)] * 2, SPEC)
    quiet[0, ::200, 0] = 0.8  # clicks of one frame
    quiet[0, 1::200, 0] = 0.8
    clicking = calibrate(*[Heard(probs, active, quiet, silent)] * 2, SPEC)
    assert set(clean.classes) == set(KINDS)
    assert clean.rule("speech").peak_threshold is None
    assert clicking.rule("speech") != clean.rule("speech")
    assert not [e for e in detect(quiet[0], clicking, SPEC) if e.label == "speech"]
    assert clicking.rule("music") == clean.rule("music")


def test_the_best_rule_is_quick_and_if_none_is_silent_the_one_with_fewest_false_events():
    quick, slow, deaf = (ClassRule(min_on=seconds) for seconds in (0.1, 0.2, 0.3))
    assert choose([Tried(slow, 0.5, 0.1, 0.14), Tried(quick, 0.9, 0.1, 0.1)], "speech") is quick
    assert choose([Tried(slow, 5.0, 0.1, 0.14), Tried(quick, 9.0, 0.1, 0.1)], "speech") is slow
    assert choose([Tried(slow, 5.0, 0.1, 0.14), Tried(deaf, 0.0, 0.9, 0.14)], "speech") is slow
    assert choose([Tried(slow, 5.0, 0.1, 0.14), Tried(deaf, 0.0, 0.1, 0.4)], "speech") is slow


def test_a_report_becomes_tables():
    flat = np.eye(3, dtype=np.float32)[np.arange(300) % 3]
    truth = flat > 0.5
    assert confusion(flat, truth, [0.5] * 3)["speech"] == {"speech": 1.0}
    assert reliability(flat, truth)["noise"] == [[0.0, 0.0, 200], [1.0, 1.0, 100]]
    rows = [{"start": 0, "end": 100 * GRID, "kinds": ["speech", "music"], "ratio": 7.0}]
    cells = by_condition(flat[None], truth[None], [rows], [0.5] * 3)
    assert cells["speech+music 5 to 10 dB"]["speech recall"] == 1.0
    assert "| speech | 0.500 |" in table(["a", "b"], [["speech", 0.5]])


def test_every_round_is_heard_as_often_as_planned():
    data = Data(("a", "b", "c"), None, None, {}, "")
    lessons = data.lessons(seed=1, times=4)
    assert [set(lessons[at : at + 3]) for at in range(0, 12, 3)] == [{0, 1, 2}] * 4
    assert lessons == data.lessons(seed=1, times=4)
    assert len({data.lessons(seed, 4) for seed in range(5)}) > 1
