"""The command line as users meet it: help, wrong uses, what goes to which stream, signals."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stream.cli.app import app
from tests.support.command import running, start, stream_classify, wait_for
from tests.support.sounds import make
from tests.support.toy_models import toy_bytes, toy_card, toy_file, toy_graph

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, sounds and things that are neither."""
    folder = tmp_path_factory.mktemp("cli")
    toy_file(folder)
    soundfile.write(folder / "talk.wav", make("speech", 16000), 16000)
    soundfile.write(folder / "slow.wav", make("music", 8000), 8000)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("this is not sound\n" * 50)
    (folder / "short.wav").write_bytes((folder / "talk.wav").read_bytes()[:30])
    (folder / "bare.onnx").write_bytes(toy_graph().SerializeToString())
    (folder / "text.onnx").write_text("hello")
    (folder / "newer.onnx").write_bytes(toy_bytes('{"schema": 99}'))
    (folder / "wrong.onnx").write_bytes(toy_bytes(toy_card(labels=("a", "b"))))
    (folder / "folder").mkdir()
    return folder


FILE = ["-m", "toy.onnx", "--input", "talk.wav", "--fast"]
# what is typed -> (exit code, words of the message)
WRONG: dict[str, tuple[list[str], int, str]] = {
    "no such option": (["--nonsense"], 2, "no such option"),
    "no such command": (["trian"], 2, "no such command"),
    "a file without --input": (["talk.wav"], 2, "--input talk.wav"),
    "no number": ([*FILE, "--sample-rate", "fast"], 2, "integer"),
    "rate 0": ([*FILE, "--sample-rate", "0"], 2, "range"),
    "negative block": ([*FILE, "--block-samples", "-1"], 2, "range"),
    "unknown provider": ([*FILE, "--provider", "tpu"], 2, "cuda"),
    "unknown policy": ([*FILE, "--when-late", "never"], 2, "drop-oldest"),
    "unknown repair": ([*FILE, "--repair", "magic"], 2, "interpolate"),
    "threshold no number": ([*FILE, "--threshold", "high"], 2, "want a number"),
    "threshold of no class": ([*FILE, "--threshold", "dog=0.5"], 2, "no class 'dog'.*speech"),
    "threshold 2": ([*FILE, "--threshold", "2"], 2, "at most 1"),
    "threshold nan": ([*FILE, "--threshold", "nan"], 2, "threshold nan"),
    "peak-threshold under the threshold": (
        [*FILE, "--threshold", "0.6", "--peak-threshold", "0.5"],
        2,
        "peak_threshold 0.5",
    ),
    "min-on negative": ([*FILE, "--min-on", "-1"], 2, "min_on"),
    "smoothing too long": ([*FILE, "--smoothing", "60"], 2, "smoothing 60"),
    "refractory infinite": ([*FILE, "--refractory", "inf"], 2, "refractory"),
    "max-gap nan": ([*FILE, "--max-gap", "nan"], 2, "--max-gap"),
    "max-gap infinite": ([*FILE, "--max-gap", "inf"], 2, "--max-gap"),
    "reset-after tiny": ([*FILE, "--reset-after", "1e-9"], 2, "reset_after"),
    "reset-after infinite": ([*FILE, "--reset-after", "inf"], 2, "--reset-after"),
    "two inputs": ([*FILE, "--demo"], 2, "one of them"),
    "screenshot without a screen": ([*FILE, "--screenshot", "x.svg"], 2, "dashboard"),
    "channel 0": ([*FILE, "--channel", "0"], 2, "channel"),
    "channel words": ([*FILE, "--channel", "left"], 2, "channel"),
    "channel that is not there": ([*FILE, "--channel", "7"], 2, "channel"),
    "missing file": (["-m", "toy.onnx", "--input", "none.wav"], 3, r"none\.wav"),
    "a folder": (["-m", "toy.onnx", "--input", "./folder"], 3, "folder"),
    "empty file": (["-m", "toy.onnx", "--input", "empty.wav"], 3, "empty"),
    "text as wav": (["-m", "toy.onnx", "--input", "text.wav"], 3, r"text\.wav"),
    "cut in its header": (["-m", "toy.onnx", "--input", "short.wav"], 3, r"short\.wav"),
    "unknown scheme": (["-m", "toy.onnx", "--input", "gopher://x"], 2, "gopher"),
    "stdin without a rate": (["-m", "toy.onnx", "--input", "-"], 2, "--sample-rate"),
    "sim without material": (["-m", "toy.onnx", "--input", "sim:"], 2, "sim"),
    "sim with an unknown fault": (["-m", "toy.onnx", "--input", "sim:tone?explode@1s"], 2, "explode"),
    "sim with an unknown key": (["-m", "toy.onnx", "--input", "sim:tone?colour=red"], 2, "colour"),
    "sim with a bad time": (["-m", "toy.onnx", "--input", "sim:tone?unplug@soon"], 2, "soon"),
    "sim after the end": (["-m", "toy.onnx", "--input", "sim:tone?xrun@99s"], 2, "never reached"),
    "sim of no file": (["-m", "toy.onnx", "--input", "sim:none.wav"], 3, r"none\.wav"),
    "device number": (["-m", "toy.onnx", "--device", "97"], 4, "97|no microphone"),
    "device name": (
        ["-m", "toy.onnx", "--device", "no such microphone"],
        4,
        "no such microphone|no microphone",
    ),
    "no device at all": (["-m", "toy.onnx"], 4, "microphone|input device|PortAudio"),
    "empty device": (["-m", "toy.onnx", "--device", ""], 2, "--list-devices"),
    "no such model": (["-m", "none.onnx", "--input", "talk.wav"], 5, "no such file"),
    "a folder as model": (["-m", "folder", "--input", "talk.wav"], 5, "folder"),
    "a model that is text": (["-m", "text.onnx", "--input", "talk.wav"], 5, "not an ONNX file"),
    "a model without a card": (["-m", "bare.onnx", "--input", "talk.wav"], 5, "no stream-classify card"),
    "a newer card": (["-m", "newer.onnx", "--input", "talk.wav"], 5, "schema 99"),
    "a card that lies": (["-m", "wrong.onnx", "--input", "talk.wav"], 5, "disagree"),
    "verify without golden vectors": (["verify", "toy.onnx"], 5, "golden"),
    "verify nothing": (["verify"], 2, "MODEL"),
    "cuda that is not there": ([*FILE, "--provider", "cuda"], 6, "onnxruntime-gpu"),
    "output in no folder": ([*FILE, "--jsonl", "no/such/folder.jsonl"], 7, "folder"),
    "output is a folder": ([*FILE, "--jsonl", "folder"], 7, "folder"),
}


def has_cuda() -> bool:
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


@pytest.mark.parametrize(("words", "code", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_use(words: list[str], code: int, message: str, here: Path) -> None:
    if "cuda" in words and has_cuda():
        pytest.skip("this onnxruntime has CUDA")
    if words == ["-m", "toy.onnx"] and stream_classify("--list-devices").stdout:
        pytest.skip("there is a microphone here")
    done = stream_classify(*words, cwd=here)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    (error,) = [line for line in lines if line != "FAILED"]  # which verify also says
    assert error.startswith("stream-classify: error: ")
    assert re.search(message, error), done.stderr


def test_closed_standard_output(here: Path) -> None:
    """``>&-``: an error, not a traceback."""
    import subprocess

    from tests.support.command import COMMAND, environment

    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, *FILE],
        cwd=here,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert done.returncode == 7
    assert "standard output" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_has_every_option_and_examples() -> None:
    done = stream_classify("--help")
    assert done.returncode == 0
    assert done.stderr == ""
    for parameter in app.params:
        for name in parameter.opts:
            assert name in done.stdout
        if not getattr(parameter, "hidden", False) and parameter.opts[0].startswith("-"):
            assert getattr(parameter, "help", None), f"{parameter.name} has no help"
    examples = done.stdout.split("Examples:")[1]
    assert examples.count("stream-classify") >= 5
    used = set(re.findall(r"(--[a-z-]+)", examples)) - {"--raw", "--rate", "--help"}
    assert used <= {name for p in app.params for name in (*p.opts, *p.secondary_opts)}
    for name in ("train", "export", "verify", "soak"):
        assert re.search(rf"^  {name} ", done.stdout, re.MULTILINE)


def test_version() -> None:
    from stream import __version__

    done = stream_classify("--version")
    assert done.stdout == f"stream-classify {__version__}\n"


def test_list_devices_without_any() -> None:
    done = stream_classify("--list-devices")
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 4)
    assert done.returncode == 4 or done.stdout or "no input devices" in done.stderr


def test_json_on_stdout_and_words_on_stderr(here: Path) -> None:
    done = stream_classify(*FILE, "--jsonl", "--scores", "--onsets", "--verbose", cwd=here)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert {r["type"] for r in records} == {"scores", "onset", "event"}
    assert "listening to" in done.stderr
    assert "talk.wav" in done.stderr
    assert not any(line.startswith("{") for line in done.stderr.splitlines())


def test_without_a_terminal_json_lines_are_the_default(here: Path) -> None:
    plain = stream_classify(*FILE, cwd=here)
    asked = stream_classify(*FILE, "--jsonl", cwd=here)
    assert plain.stdout == asked.stdout != ""
    assert plain.stderr == ""


def test_the_same_events_as_the_library(here: Path) -> None:
    from stream import Model, classify

    done = stream_classify(*FILE, cwd=here)
    want = [
        e for e in classify(here / "talk.wav", Model.load(here / "toy.onnx")).events if e.offset is not None
    ]
    got = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(r["id"], r["label"], r["onset_sample"], r["offset_sample"]) for r in got] == [
        (e.id, e.label, e.onset, e.offset) for e in want
    ]


def test_options_reach_what_they_set(here: Path) -> None:
    def events(*words: str) -> list[dict[str, object]]:
        done = stream_classify(*FILE, *words, cwd=here)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    all_of_them = events()
    assert all_of_them
    assert events("--threshold", "1.0") == []
    only = events("--threshold", "1.0", "--threshold", "noise=0.5")
    assert {e["label"] for e in only} <= {"noise"}
    assert events("--peak-threshold", "1.0") == []
    assert len(events("--min-on", "1.5")) < len(all_of_them)
    assert events("--reset-after", "0.1") != all_of_them


def test_confirm_is_the_old_name_of_peak_threshold(here: Path) -> None:
    done = stream_classify(*FILE, "--confirm", "1.0", cwd=here)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.count("--confirm is now called --peak-threshold") == 1


def test_pcm_on_stdin_equals_the_file(here: Path) -> None:
    samples, rate = soundfile.read(here / "talk.wav", dtype="int16")
    words = ["-m", "toy.onnx", "--input", "-", "--sample-rate", str(rate)]
    piped = stream_classify(*words, cwd=here, stdin=samples.tobytes())
    floats = (samples / np.float32(32768)).astype("<f4").tobytes()
    as_floats = stream_classify(*words, "--format", "f32le", cwd=here, stdin=floats)
    file = stream_classify(*FILE, cwd=here)
    strip: Callable[[str], list[object]] = lambda text: [  # noqa: E731
        {k: v for k, v in json.loads(line).items() if k not in ("source", "t_wall")}
        for line in text.splitlines()
    ]
    assert strip(piped.stdout) == strip(as_floats.stdout) == strip(file.stdout) != []


def test_a_file_at_another_rate_is_resampled(here: Path) -> None:
    done = stream_classify("-m", "toy.onnx", "-i", "slow.wav", "--fast", "--scores", "-v", cwd=here)
    assert done.returncode == 0, done.stderr
    assert "8000 Hz -> 16000 Hz" in done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines() if '"scores"' in line]
    assert len(rows) == 1 + (32000 - 512) // 160


def test_too_little_sound_is_said(here: Path) -> None:
    soundfile.write(here / "blip.wav", np.zeros(100, np.float32), 16000)
    done = stream_classify("-m", "toy.onnx", "-i", "blip.wav", "--fast", cwd=here)
    assert done.returncode == 0
    assert "too little sound" in done.stderr


def test_lost_samples_are_gaps_in_the_output(here: Path) -> None:
    done = stream_classify("-m", "toy.onnx", "-i", "sim:noise?xrun@1s&n=777&length=2s", "--fast", cwd=here)
    gaps = [r for r in map(json.loads, done.stdout.splitlines()) if r["type"] == "gap"]
    assert [(g["start_sample"], g["samples"], g["reason"]) for g in gaps] == [(16000, 777, "lost")]
    assert "0.0486 s of sound were lost" in done.stderr


@pytest.mark.parametrize("no_color", ["", "1"])
def test_no_escape_codes_where_there_is_no_terminal(no_color: str, here: Path) -> None:
    for words in (["--help"], [*FILE, "-v"], ["--input", "x", "--demo"]):
        done = stream_classify(*words, cwd=here, NO_COLOR=no_color)
        assert "\x1b" not in done.stdout + done.stderr


@needs_posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("what", ["sim:noise?loop=forever", "silence on a pipe"])
def test_signals_end_a_live_run_in_time_with_everything_written(
    number: signal.Signals, what: str, here: Path
) -> None:
    out = here / f"live-{number}-{len(what)}.jsonl"
    words = ["-m", "toy.onnx", "--jsonl", str(out), "--scores", "--onsets"]
    if what.startswith("sim:"):
        child = start(*words, "--input", what, cwd=here)
    else:
        child = start(*words, "--input", "-", "--sample-rate", "16000", cwd=here, stdin=-1)
        assert child.stdin is not None
        child.stdin.write(bytes(32000))  # and then nothing more, though the pipe stays open
        child.stdin.flush()
    with running(child):
        wait_for(lambda: out.exists() and out.stat().st_size >= 2000, "the first lines", child)
        child.send_signal(number)
        stderr = child.communicate(timeout=10)[1].decode() if child.stdin is None else ""
        assert child.wait(timeout=10) == 0, stderr
    lines = out.read_bytes().splitlines(keepends=True)
    assert all(line.endswith(b"\n") for line in lines)
    records = [json.loads(line) for line in lines]
    begun = {r["id"] for r in records if r["type"] == "onset"}
    ended = {r["id"] for r in records if r["type"] == "event"}
    assert begun == ended, "what was on when the signal came is told as cut"
    assert "Traceback" not in stderr


def test_inspect_prints_a_line_for_every_group_of_figures(tmp_path: Path) -> None:
    """However a card nests them, as far as four groups deep; a hostile depth is cut, not followed."""
    deep: dict[str, object] = {"end": 1}
    for _ in range(200):
        deep = {"in": deep}
    figures = {
        "accuracy": 0.5,
        "noisy": {"frames": {"yes": {"f1": 0.25, "auc": None}}, "bins": {"yes": [[0.1, 3], [0.9, 4]]}},
        "deep": deep,
    }
    toy_file(tmp_path, toy_card(metrics=figures))
    done = stream_classify("inspect", "toy.onnx", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    at = lines.index("metrics")
    assert lines[at + 1 : at + 4] == [
        "accuracy 0.5",
        "noisy frames yes f1 0.25, auc -",
        "noisy bins yes 0.1/3 0.9/4",
    ]
    assert lines[at + 4].startswith("deep in in in in in {'in'")


@needs_posix
def test_head_ends_it_quietly(here: Path) -> None:
    """The reader of our output leaves: exit code 0 and not a word."""
    child = start("-m", "toy.onnx", "--input", "sim:noise?loop=forever", "--scores", cwd=here)
    with running(child):
        assert child.stdout is not None
        assert child.stderr is not None
        json.loads(child.stdout.readline())
        child.stdout.close()
        assert child.wait(timeout=10) == 0
        assert child.stderr.read() == b""
