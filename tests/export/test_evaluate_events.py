"""``evaluate``: events found and false ones, beside the figures of recordings; what it needs and what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from export.cli.evaluate import evaluate as command
from export.data.recording import Interval, Recording
from export.data.splits import SplitConfig
from export.evaluation.evaluate import evaluate
from export.evaluation.other_sound import negative_kinds
from export.evaluation.streams import true_events
from export.metrics import Prediction, clip_figures, clip_scores, clip_truth
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import DataError
from stream.inference.session import Model
from tests.support.extras import needs
from tests.support.toy_models import toy_bytes, toy_card, toy_file

needs("sklearn", "scipy", "matplotlib")

# As in an environment without them: libraries look into sys.modules for others, so a None there would not do.
WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from stream.cli import main
main()
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six recordings of noise of three classes, a second each, silence around them."""
    folder = tmp_path_factory.mktemp("clips")
    rows = []
    for n in range(6):
        sound = np.zeros(16000, np.float32)
        sound[4000:12000] = np.random.default_rng(n).normal(0, 0.1, 8000)
        soundfile.write(folder / f"{n}.wav", sound, 16000)
        rows.append(f"{n}.wav,{('speech', 'music', 'noise')[n % 3]}")
    (folder / "manifest.csv").write_text("\n".join(["filename,label", *rows]) + "\n")
    return folder


def run(missing: tuple[str, ...], *words: str) -> subprocess.CompletedProcess[str]:
    code = WITHOUT.format(missing=missing)
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=120, check=False
    )


def test_it_needs_no_torch(clips: Path, tmp_path: Path) -> None:
    model = toy_file(tmp_path, toy_card(labels=("speech", "music", "noise")))
    done = run(
        ("torch", "librosa"), "evaluate", str(model), str(clips), "--negatives", "0.05", "--report", str(tmp_path / "r")
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "r").iterdir()} >= {"report.json", "events.png", "strip.png"}


@pytest.mark.parametrize("missing", ["scipy", "sklearn", "matplotlib"])
def test_without_the_extra_it_says_what_to_install(clips: Path, tmp_path: Path, missing: str) -> None:
    """At once, not after an hour of listening."""
    model = toy_file(tmp_path, toy_card())
    done = run((missing, "torch"), "evaluate", str(model), str(clips), "--report", str(tmp_path / "report"))
    assert done.returncode == 1
    assert done.stderr.startswith(f"stream-classify: error: evaluate needs {missing}, which ")
    assert "; run: " in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "report").exists()


def test_figures_need_no_matplotlib(clips: Path, tmp_path: Path) -> None:
    model = toy_file(tmp_path, toy_card())
    done = run(("torch", "matplotlib"), "evaluate", str(model), str(clips), "--negatives", "0")
    assert done.returncode == 0, done.stderr


def test_the_command_prints_events_and_false_alarms(clips: Path, tmp_path: Path) -> None:
    model = toy_file(tmp_path, toy_card(labels=("cat", "dog", "cow")))
    (tmp_path / "data").mkdir()
    for n, label in enumerate(("cat", "dog", "cow")):
        (tmp_path / "data" / label).mkdir()
        for k in (0, 1):
            (tmp_path / "data" / label / f"{k}.wav").write_bytes((clips / f"{n + 3 * k}.wav").read_bytes())
    done = CliRunner().invoke(
        command, [str(model), str(tmp_path / "data"), "--negatives", "0.1"], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    header = next(line for line in lines if line.startswith("events"))
    assert " ".join(header.split()) == "events found missed twice delay p90 speech music noise silence own"
    total = next(line for line in lines if line.startswith("all"))
    assert total.split()[1].endswith("/6")
    assert all(len(line) <= 80 for line in lines)


def test_a_model_that_babbles_is_told_of_in_the_last_line(clips: Path, tmp_path: Path) -> None:
    loud = DetectorSpec(default=ClassRule(threshold=0.01, min_on=0, min_off=0))
    model = toy_file(tmp_path, toy_card(labels=("cat", "dog", "cow"), detector=loud))
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(f"filename,label\n{clips / '0.wav'},cat\n{clips / '1.wav'},dog\n")
    words = [str(model), str(manifest), "--negatives", "0.2"]
    done = CliRunner().invoke(command, words, catch_exceptions=False, color=True)
    last = done.stderr.splitlines()[-1]
    assert "false events an hour of other sound" in last
    assert "--false-alarms" in last
    assert "--threshold" in last
    assert last.startswith("\x1b[33m")  # yellow
    quiet = CliRunner().invoke(command, [*words, "--threshold", "1"], catch_exceptions=False)
    assert "false events an hour" not in quiet.stderr


def test_the_report_holds_events_by_kind(clips: Path) -> None:
    model = Model(toy_bytes(toy_card(labels=("cat", "speech", "cow"))))
    manifest = clips / "cats.csv"
    manifest.write_text("filename,label\n0.wav,cat\n1.wav,speech\n2.wav,cow\n")
    result = evaluate(model, str(manifest), negatives=0.1)
    plain = json.loads(json.dumps(result.report))["events"]
    assert set(plain["hours"]) == {
        "music",
        "noise",
        "silence",
        "own",
    }  # other speech may well be its "speech"
    assert plain["hours"]["music"] == pytest.approx(0.1 / 60)
    assert plain["all"]["events"] == 3
    assert set(plain["classes"]) == {"cat", "speech", "cow"}
    assert plain["classes"]["cat"]["false"]["noise"]["per_hour_at_most"] > 1000


def test_the_card_says_what_is_no_class() -> None:
    model = Model(toy_bytes(toy_card(labels=("a", "b", "c"), provenance={"negatives": ["noise", "silence"]})))
    assert negative_kinds(model) == ("noise", "silence")


def test_pauses_are_of_many_lengths_and_hold_microphone_noise(clips: Path) -> None:
    """Until now all were half a second of zeros, as no microphone gives them."""
    result = evaluate(Model(toy_bytes()), str(clips))
    stream, _ = result.heard[0]
    onsets = sorted(event.onset for event in stream.truth)
    gaps = np.diff(onsets) - 1.0
    assert len(gaps) == 5
    assert gaps.min() >= 0.3 - 0.01
    assert gaps.max() <= 3.01
    assert gaps.max() - gaps.min() > 0.3
    pause = result.predictions.sound[16000 : 16000 + 4000]  # after the first recording
    assert 0 < np.abs(pause).max() < 0.05


def test_what_sounds_is_the_event_of_a_clip() -> None:
    sound = np.zeros(16000, np.float32)
    sound[4000:12000] = 0.1 * np.sin(np.arange(8000))
    clip = Recording(Path("x.wav"), "here", "x", ("a",))
    (event,) = true_events(clip, sound, 16000, 32000)
    assert event.label == "a"
    assert (event.onset, event.offset) == pytest.approx((2.25, 2.75), abs=0.03)
    assert true_events(clip, np.zeros(16000, np.float32), 16000, 0) == []
    strong = Recording(Path("x.wav"), "here", "x", ("a",), (Interval("a", 0.1, 0.2),))
    assert true_events(strong, sound, 16000, 16000) == [Interval("a", 1.1, 1.2)]


def test_a_background_class_is_no_answer_to_which_class() -> None:
    """Half a recording of silence makes the background strongest; which class it is of can be asked all the same."""
    labels = ("a", "b", "background")
    rows = [("a", (0.3, 0.1, 0.6)), ("a", (0.9, 0.0, 0.1)), ("b", (0.1, 0.8, 0.1)), ("b", (0.25, 0.2, 0.55))]
    found = [
        Prediction((label,), None, np.tile(np.float32(p), (10, 1)), np.arange(10) / 100, (), 0.1)
        for label, p in rows
    ]
    scores, truth = clip_scores(found, "end"), clip_truth(found, labels)
    figures = clip_figures(scores, truth, labels, "softmax", (0.5,) * 3, ("background",))
    assert figures["accuracy"] == 0.75
    assert figures["predicted"] == ["a", "b", "nothing"]
    assert figures["confusion"] == [[1, 0, 1], [0, 1, 1], [0, 0, 0]]
    assert set(figures["classes"]) == {"a", "b"}
    asked = clip_figures(scores, truth, labels, "softmax", (0.5,) * 3)
    assert asked["accuracy"] == 0.5


def test_recordings_of_a_class_that_is_no_event_are_asked_about() -> None:
    """An unknown class raises no events, and yet is right or wrong about its recordings."""
    labels = ("a", "unknown")
    found = [
        Prediction((label,), None, np.tile(np.float32(p), (4, 1)), np.arange(4) / 100, (), 0.04)
        for label, p in [("a", (0.9, 0.1)), ("unknown", (0.2, 0.8))]
    ]
    figures = clip_figures(
        clip_scores(found, "end"), clip_truth(found, labels), labels, "softmax", (0.5,) * 2, ("unknown",)
    )
    assert figures["accuracy"] == 1
    assert figures["predicted"] == ["a", "unknown"]


def test_the_class_that_training_made_up_needs_no_recordings(tmp_path: Path) -> None:
    """Its card says how its data were divided; no recording of those is of the background class."""
    rows = [f"{n}.wav,{('speech', 'music')[n % 2]},{n // 2 % 3}" for n in range(12)]
    for n in range(12):
        soundfile.write(tmp_path / f"{n}.wav", np.random.default_rng(n).normal(0, 0.1, 8000), 16000)
    (tmp_path / "manifest.csv").write_text("\n".join(["filename,label,fold", *rows]) + "\n")
    plan = {"split": msgspec.to_builtins(SplitConfig(validation_folds=("1",), test_folds=("2",)))}
    never = DetectorSpec(classes={"noise": ClassRule(enabled=False)})
    model = Model(toy_bytes(toy_card(provenance=plan, detector=never)))
    result = evaluate(model, str(tmp_path), split="validation")
    assert result.report["data"]["recordings"] == 4
    assert set(result.report["events"]["classes"]) == {"speech", "music"}
    asking = Model(toy_bytes(toy_card(provenance=plan)))
    with pytest.raises(DataError, match="class noise: has no recording"):
        evaluate(asking, str(tmp_path), split="validation")
