"""Values nobody can mean, and options that do not apply: a line that says so and an exit code, never a traceback."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import soundfile

from stream.cli import ENVIRONMENT, main
from tests.support.sounds import make
from tests.support.toy_models import toy_file

LONG = "x" * 300
FILE = ["-m", "toy.onnx", "--input", "talk.wav", "--fast"]
SIM = ["-m", "toy.onnx", "--input", "sim:tone?length=1s", "--fast"]
MIC = ["-m", "toy.onnx"]
STDIN = ["-m", "toy.onnx", "--input", "-", "--sample-rate", "16000"]
URL = ["-m", "toy.onnx", "--input", "http://127.0.0.1:9/x"]

# what is typed -> (exit code, words of the message)
REFUSED: dict[str, tuple[list[str], int, str]] = {
    "soak hours nan": (["soak", "--hours", "nan"], 2, "nan is not a finite number"),
    "soak hours infinite": (["soak", "--hours", "inf"], 2, "--hours"),
    "soak settle nan": (["soak", "--settle", "nan"], 2, "not a finite number"),
    "reset-after 1e308": ([*FILE, "--reset-after", "1e308"], 2, "--reset-after"),
    "max-gap 1e308": ([*FILE, "--max-gap", "1e308"], 2, "--max-gap"),
    "max-gap nan": ([*FILE, "--max-gap", "nan"], 2, "not a finite number"),
    "channels huge": ([*STDIN, "--channels", "99999999999"], 2, "--channels"),
    "block huge": ([*FILE, "--block-samples", "99999999999999999999"], 2, "--block-samples"),
    "rate 1": ([*STDIN, "--sample-rate", "1"], 2, "--sample-rate"),
    "rate 1e9": ([*STDIN, "--sample-rate", "1000000000"], 2, "--sample-rate"),
    "no class before the sign": ([*FILE, "--min-on", "=0.5"], 2, "no class before the ="),
    "empty input": (["-m", "toy.onnx", "--input", ""], 2, "--input ''.*empty"),
    "blank input": (["-m", "toy.onnx", "--input", "  "], 2, "empty"),
    "this folder": (["-m", "toy.onnx", "--input", "."], 3, "folder"),
    "a folder by its bare name": (["-m", "toy.onnx", "--input", "folder"], 3, "folder is a folder"),
    "input of a long name": (["-m", "toy.onnx", "--input", LONG + ".wav", "--fast"], 3, "x+"),
    "model of a long name": (["-m", LONG + ".onnx", "--input", "talk.wav"], 5, "x+"),
    "verify of a long name": (["verify", LONG + ".onnx"], 5, "x+"),
    "inspect of a long name": (["inspect", LONG + ".onnx"], 5, "x+"),
    "output of a long name": ([*FILE, "--jsonl", LONG], 7, "x+"),
    "output without a name": ([*FILE, "--jsonl", ""], 2, "--jsonl '': is empty"),
    "channels of a file": ([*FILE, "--channels", "7"], 2, "--channels does not apply to a file"),
    "rate of a file": ([*FILE, "--sample-rate", "8000"], 2, "--sample-rate does not apply to a file"),
    "format of a file": ([*FILE, "--format", "f32le"], 2, "--format does not apply to a file"),
    "late file": ([*FILE, "--when-late", "skip-to-now"], 2, "--when-late does not apply to a file"),
    "channels of the demo": (["--demo", "--channels", "1"], 2, "does not apply to a file"),
    "old name of the rate of a file": ([*FILE, "--samplerate", "8000"], 2, "--sample-rate does not apply"),
    "rate of sim": ([*SIM, "--sample-rate", "8000"], 2, "does not apply to a simulated microphone"),
    "late standard input": ([*STDIN, "--when-late", "drop-oldest"], 2, "does not apply to standard input"),
    "format of a URL": ([*URL, "--format", "s16le"], 2, "--format does not apply to a URL"),
    "fast microphone": ([*MIC, "--fast"], 2, "--fast does not apply to a microphone"),
    "channels of a microphone": ([*MIC, "--device", "2", "--channels", "2"], 2, "--channels does not apply"),
    "nearly a bundled model": (["--demo", "--model", "smal"], 5, "did you mean small"),
    "no bundled model": (["inspect", "nothing"], 5, "no such file, and no bundled model"),
    "a checkpoint": ([*FILE, "--model", "x.pt"], 5, r"stream-classify export x\.pt -o x\.onnx"),
    "verify a checkpoint": (["verify", "my model.pt"], 5, r"export 'my model\.pt' -o 'my model\.onnx'"),
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("values")
    toy_file(folder)
    soundfile.write(folder / "talk.wav", make("speech", 16000), 16000)
    (folder / "folder").mkdir()
    return folder


@pytest.mark.parametrize(("words", "code", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(
    words: list[str],
    code: int,
    message: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(here)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)  # so that it is put back
    with pytest.raises(SystemExit) as ended:
        main(words)
    out, err = capfd.readouterr()
    assert ended.value.code == code, err
    assert re.search(message, err), err
    assert out == ""


def test_a_bundled_model_by_a_wrong_name_in_python() -> None:
    from stream import Model
    from stream.errors import ModelError

    with pytest.raises(ModelError, match="did you mean small"):
        Model.bundled("smal")
