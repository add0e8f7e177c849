"""Random argument lists: whatever is typed ends with an exit code and at most a line, never with a traceback."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
import soundfile

from stream.cli import ENVIRONMENT, main
from stream.cli.app import app
from tests.support.sounds import make
from tests.support.toy_models import toy_file

CASES = int(os.environ.get("STREAM_CLASSIFY_FUZZ", "150"))
SKIPPED = {
    "input_",
    "device",
    "jsonl",
    "screenshot",
    "web",
    "model",
}  # given below, or would write files or serve
VALUES = [
    *("", " ", "0", "1", "-1", "0.5", "1e308", "-1e308", "nan", "inf", "-inf", "99999999999999999999", "=0.5", "="),
    *("==1", "speech=0.5", "speech=nan", "dog=1", "x" * 300, "½", "٣", "mix", "auto", "s16le", "hold", "--", "-", "🎙"),
]  # fmt: skip
INPUTS = [
    "talk.wav",
    "none.wav",
    "",
    ".",
    "folder",
    "x" * 300,
    "sim:tone?length=1s",
    "sim:",
    "gopher://x",
]
MODELS = ["toy.onnx", "smal", "folder", "text.onnx", "", "x" * 300, "x.pt"]
COMMANDS = ["verify", "inspect", "schema", "completion", "trian", "help", "--", "", "x" * 300, "talk.wav"]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("random")
    toy_file(folder)
    soundfile.write(folder / "talk.wav", make("speech", 16000)[:16000], 16000)
    (folder / "text.onnx").write_text("hello")
    (folder / "folder").mkdir()
    return folder


def words(draw: random.Random) -> list[str]:
    """Mostly options of listening, with values of any kind, from a source that ends; now and then a command."""
    known = [parameter for parameter in app.params if parameter.name not in SKIPPED]
    typed: list[str] = []
    for _ in range(draw.randint(0, 4)):
        name = draw.choice(draw.choice(known).opts)
        value = draw.choice(VALUES)
        typed += draw.choice([[name], [name, value], [f"{name}={value}"]])
    if draw.random() < 0.2:
        return [*typed, draw.choice(COMMANDS), draw.choice([*VALUES, *MODELS])]
    return ["--fast", "-i", draw.choice(INPUTS), "-m", draw.choice(MODELS[:1] * 8 + MODELS), *typed]


def test_no_argument_list_ends_in_a_traceback(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)  # so that it is put back
    draw = random.Random(24)
    codes: dict[object, int] = {}
    for _ in range(CASES):
        typed = words(draw)
        try:
            main(typed)
        except SystemExit as ended:
            codes[ended.code] = codes.get(ended.code, 0) + 1
        except BaseException as error:
            raise AssertionError(f"{typed} raised {error!r}") from error
        assert "Traceback" not in capfd.readouterr().err, typed
    assert set(codes) <= {0, *range(2, 9)}, codes
    assert {0, 2, 3, 5} <= set(codes), codes
