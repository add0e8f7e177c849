"""stream-classify calibrate, as its users meet it: killed, stopped, asked for nonsense, and to the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from export.calibration.grid import level_of
from export.cli.calibrating import calibrate
from stream import Model, classify, verify
from stream.capture.files import read_audio
from stream.installation import asset
from stream.outputs.clip_record import read_clip_record
from stream.review.verdicts import Verdict, Verdicts

DEMO = str(asset("demo.ogg"))
CALIBRATE = [sys.executable, "-m", "stream", "calibrate"]


def started(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*CALIBRATE, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def done(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CALIBRATE, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven minutes in which music comes now and then: what the bundled model is to keep quiet about."""
    folder = tmp_path_factory.mktemp("night")
    demo = read_audio(DEMO, 16000)[: 60 * 16000]
    rng = np.random.default_rng(0)
    for name in ("1.wav", "2.wav"):
        noise = 0.003 * rng.standard_normal(330 * 16000).astype(np.float32)
        for at in range(20, 300, 60):
            noise[at * 16000 : at * 16000 + len(demo)] += demo
        soundfile.write(folder / name, noise, 16000)
    return folder


def test_the_command_writes_a_model_that_proves_itself_and_is_quiet(night: Path, tmp_path: Path) -> None:
    output, picture = tmp_path / "mine.onnx", tmp_path / "det.svg"
    run = done(
        "small", "--negatives", night, "--class", "music", "--max-false-alarms", "20/h", "-o", output,
        "--picture", picture,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "11 min without a false alarm promise at most 16 an hour, with 95 % confidence" in run.stdout
    verify(output)
    old, new = Model.bundled("small"), Model.load(output)
    assert new.card.detector.rule("speech") == old.card.detector.rule("speech")
    assert new.card.detector.rule("music") != old.card.detector.rule("music")
    kept = {"detector", "provenance", "created", "metrics"}
    for field in old.card.__struct_fields__:
        assert field in kept or getattr(new.card, field) == getattr(old.card, field)
    origin = new.card.provenance["calibration"]
    assert origin["model"] == old.sha256
    assert origin["negatives"]["files"] == 2
    assert origin["negatives"]["hours"] == pytest.approx(11 / 60, rel=0.01)
    assert origin["promise"]["keeps_budget"]
    for name in ("1.wav", "2.wav"):
        sound = str(night / name)
        assert any(event.label == "music" for event in classify(sound, old).events)
        assert not any(event.label == "music" for event in classify(sound, new).events)
    drawn = ElementTree.parse(picture).getroot()
    texts = [each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert "budget" in texts
    assert "music" in texts


def test_killed_and_resumed_is_as_if_nothing_had_happened(night: Path, tmp_path: Path) -> None:
    asked = ("small", "--negatives", night, "--class", "music", "--json", "-o")
    whole = done(*asked, tmp_path / "whole.onnx")
    assert whole.returncode == 0, whole.stderr
    process = started(*asked, tmp_path / "mine.onnx")
    end = time.monotonic() + 60
    while not (tmp_path / "mine.heard" / "00001.json").exists():
        assert time.monotonic() < end
        assert process.poll() is None, process.communicate(timeout=60)
        time.sleep(0.002)
    process.kill()
    process.communicate(timeout=60)
    assert not (tmp_path / "mine.onnx").exists()
    refused = done(*asked, tmp_path / "mine.onnx")
    assert refused.returncode
    assert "--resume" in refused.stderr
    resumed = done(*asked, tmp_path / "mine.onnx", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    one, other = (json.loads(each.stdout) for each in (whole, resumed))
    for found in (one, other):
        del found["created"], found["negatives"]["began"]
    assert one == other
    rules = [Model.load(tmp_path / name).card.detector for name in ("whole.onnx", "mine.onnx")]
    assert rules[0] == rules[1]


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_keeps_what_was_heard(tmp_path: Path) -> None:
    process = started(
        "small", "--device", f"sim:{DEMO}?loop=forever", "--hours", "10000", "-o", tmp_path / "mine.onnx"
    )
    scores = tmp_path / "mine.heard" / "00001.scores"
    end = time.monotonic() + 60
    while not (scores.exists() and scores.stat().st_size > 6000):
        assert time.monotonic() < end
        assert process.poll() is None, process.communicate(timeout=60)
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume --hours" in said
    rows = scores.stat().st_size // 6
    device = ("small", "--device", "sim:noise", "--resume", "--json", "-o", tmp_path / "mine.onnx")
    ended = done(*device, "--hours", "10000")
    assert ended.returncode == 8
    assert "the source ended by itself" in ended.stderr
    rows += (tmp_path / "mine.heard" / "00002.scores").stat().st_size // 6
    again = done(*device, "--hours", "1e-9")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["negatives"]["hours"] == pytest.approx(rows / 50 / 3600, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["small", "-o", "x.onnx"], "in one way: --negatives FILES, --device"),
        (
            ["small", "--negatives", DEMO, "--device", "1", "-o", "x.onnx"],
            "in one way: --negatives FILES, --device",
        ),
        (["small", DEMO, "-o", "x.onnx"], "name sound without events by --negatives"),
        (["small", "--negatives", DEMO, "-o", "x.pt"], "a name that ends in .onnx"),
        (["small", "--negatives", DEMO, "-o", "no/x.onnx"], "make it first"),
        (["small", "--negatives", DEMO, "-o", "x.onnx", "--picture", "x.png"], "ends in .svg"),
        (["small", "--negatives", DEMO, "-o", "x.onnx", "--class", "dog"], "speech, music, noise"),
        (["small", "--negatives", DEMO, "-o", "x.onnx", "--max-false-alarms", "1/month"], "as in 1/day"),
        (["small", "--negatives", "gone.wav", "-o", "x.onnx"], "no such file"),
        (["small", "--negatives", __file__, "-o", "x.onnx"], "not audio"),
        (["small", "--from-history", "gone.sqlite", "-o", "x.onnx"], "no such file"),
        (["small", "--negatives", DEMO, "--review", ".", "-o", "x.onnx"], "no clip in it was judged"),
        (["small", "--negatives", DEMO, "--positives", "gone", "-o", "x.onnx"], "no such folder"),
        (["gone.onnx", "--negatives", DEMO, "-o", "x.onnx"], "no such file"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_heard(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(calibrate, arguments)
    assert result.exit_code
    assert said in f"{result.output} {result.exception}"
    assert list(tmp_path.iterdir()) == []


def test_the_output_is_never_what_is_read(tmp_path: Path) -> None:
    model, sound = tmp_path / "model.onnx", tmp_path / "sound.onnx"
    model.write_bytes(asset("small.onnx").read_bytes())
    sound.write_bytes(Path(DEMO).read_bytes())
    for output in (model, sound):
        result = CliRunner().invoke(calibrate, [str(model), "--negatives", str(sound), "-o", str(output)])
        assert "is the file that is read" in str(result.exception)


def test_the_plain_installation_is_enough(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from export.cli.calibrating import calibrate\n"
        f"calibrate(['small', '--negatives', {DEMO!r}, '--picture', 'x.svg', '-o', 'x.onnx'], standalone_mode=False)\n"
        "heavy = {'torch', 'onnx', 'librosa', 'scipy', 'sklearn', 'matplotlib', 'h5py', 'av'}\n"
        "print('heavy', *heavy & set(sys.modules))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "heavy"


def listened(folder: Path, *arguments: str) -> None:
    """The demo through the bundled small model, with outputs."""
    command = [sys.executable, "-m", "stream", "--demo", "--fast", "--model", "small", *arguments]
    subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=True)


def test_what_was_recorded_and_judged_is_calibrated_on(tmp_path: Path, night: Path) -> None:
    """The demo, whose music a person said was wrong; then also that its speech was right."""
    listened(tmp_path, "--history", "heard.sqlite", "--clips", "clips")
    verdicts = Verdicts(tmp_path / "clips")
    for path in sorted((tmp_path / "clips").glob("*.flac")):
        record = read_clip_record(path)
        assert record is not None
        if record.label == "music":
            verdicts.put(path.name, record, Verdict("wrong", ""))
    asked = ("--from-history", tmp_path / "heard.sqlite", "--max-false-alarms", "1/h", "--json")
    alone = done("small", *asked, "--class", "music", "-o", tmp_path / "music.onnx")
    assert alone.returncode == 0, alone.stderr
    origin = json.loads(alone.stdout)
    assert origin["negatives"]["history"]
    assert origin["negatives"]["hours"] == pytest.approx(1.5 / 60, rel=0.05)
    assert origin["classes"]["music"]["highest_score"] > 0.95
    assert origin["classes"]["music"]["false_alarms"] == 0
    old, new = Model.bundled("small").card.detector, Model.load(tmp_path / "music.onnx").card.detector
    assert level_of(new.rule("music")) > level_of(old.rule("music"))
    for path in sorted((tmp_path / "clips").glob("*_speech_*.flac")):
        record = read_clip_record(path)
        assert record is not None
        verdicts.put(path.name, record, Verdict("right", "speech"))
    full = done("small", *asked, "-o", tmp_path / "full.onnx")
    # Minutes are those of the clock: the demo lies in two of them, and its part in one may be without speech.
    if full.returncode:
        assert "every minute has an event that was judged to be right" in full.stderr
    else:
        assert json.loads(full.stdout)["negatives"]["hours"] < 1 / 60
    judged = done(
        "small", "--negatives", night, "--class", "speech", "--review", tmp_path / "clips", "--json",
        "--max-false-alarms", "20/h", "-o", tmp_path / "judged.onnx",
    )  # fmt: skip
    assert judged.returncode == 0, judged.stderr
    figures = json.loads(judged.stdout)
    assert figures["positives"]["recordings"] == 7
    assert figures["classes"]["speech"]["events"] >= 5


def test_wrong_clips_alone_are_kept_quiet(tmp_path: Path) -> None:
    """A class without any event to find: its level rises above the clips that a person said were wrong."""
    listened(tmp_path, "--clips", "clips")
    verdicts = Verdicts(tmp_path / "clips")
    for path in (tmp_path / "clips").glob("*_music_*.flac"):
        record = read_clip_record(path)
        assert record is not None
        verdicts.put(path.name, record, Verdict("wrong", ""))
    soundfile.write(tmp_path / "quiet.wav", np.zeros(400_000), 16000)
    asked = ("--negatives", tmp_path / "quiet.wav", "--class", "music", "--max-false-alarms", "2000/h")
    plain = done("small", *asked, "-o", tmp_path / "plain.onnx")
    assert plain.returncode == 0, plain.stderr
    judged = done("small", *asked, "--review", tmp_path / "clips", "-o", tmp_path / "judged.onnx")
    assert judged.returncode == 0, judged.stderr
    assert "events are wrong" in judged.stderr
    old, new = (Model.load(tmp_path / name).card.detector for name in ("plain.onnx", "judged.onnx"))
    assert level_of(old.rule("music")) == level_of(Model.bundled("small").card.detector.rule("music"))
    assert level_of(new.rule("music")) > level_of(old.rule("music"))
