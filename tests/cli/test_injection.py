"""Text from outside (cards, file names, devices, servers) steers no terminal, whichever command shows it."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stream.capture.device import lookup
from stream.cli.printing import print_devices
from stream.cli.say import Handler
from stream.printable import printable, printable_json
from tests.support.command import stream_classify
from tests.support.toy_models import toy_card, toy_file

# Title, clipboard (OSC 52), alternate screen, a bell, an 8-bit CSI, and text that runs backwards.
ATTACK = "\x1b]0;title\x07\x1b]52;c;aGk=\x07\x1b[?1049h\x9b2J\u202eback\x7f"
FORBIDDEN = {*map(chr, range(32)), *map(chr, range(0x7F, 0xA0)), "\u202e", "\u2028"} - {"\n"}


def harmless(text: str) -> bool:
    return not FORBIDDEN & set(text)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("injection")
    card = toy_card(
        description=ATTACK,
        author=ATTACK,
        licence=ATTACK,
        version=ATTACK,
        sources=(ATTACK,),
        metrics={ATTACK: {ATTACK: 0.5}, "accuracy": ATTACK},
    )
    toy_file(folder, card)
    (folder / f"{ATTACK}.onnx").write_bytes((folder / "toy.onnx").read_bytes())
    soundfile.write(folder / "sound.wav", np.zeros(16000), 16000)
    (folder / f"{ATTACK}.wav").write_bytes((folder / "sound.wav").read_bytes())
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "toy.onnx"],
        ["inspect", "toy.onnx", "--json"],
        ["inspect", f"{ATTACK}.onnx"],
        ["verify", f"no {ATTACK}.onnx"],
        ["-m", "toy.onnx", "--input", f"{ATTACK}.wav", "--fast", "-v", "--jsonl", "--scores", "--onsets"],
        ["-m", "toy.onnx", "--input", f"no {ATTACK}.wav"],
        ["-m", f"{ATTACK}.onnx", "--input", "sound.wav", "--fast", "-v", "--jsonl", f"out {ATTACK}"],
    ],
)
def test_commands(words: list[str], here: Path) -> None:
    done = stream_classify(*words, cwd=here)
    said = done.stdout + done.stderr
    assert "title" in said or "sound.wav" in said, said
    assert harmless(said), repr(said)
    if "--json" in words:
        assert json.loads(done.stdout)["card"]["author"] == ATTACK, "escaped, not changed"


def test_devices(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import click

    device = lookup.DeviceInfo(
        index=0, name=ATTACK, hostapi=ATTACK, max_input_channels=1, default_rate=16000, is_default=True
    )
    monkeypatch.setattr(lookup, "list_devices", lambda: [device])
    with pytest.raises(click.exceptions.Exit):
        print_devices(click.Context(click.Command("x")), click.Option(["-x"]), True)
    said = capsys.readouterr().out
    assert "title" in said
    assert harmless(said)


def test_the_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "said").open("w+") as file:
        monkeypatch.setattr(sys, "stderr", file)
        Handler().handle(
            logging.makeLogRecord({"msg": f"device {ATTACK}\nhas left", "levelno": logging.WARNING})
        )
        file.seek(0)
        said = file.read()
    assert said.count("\n") == 1
    assert "has left" in said
    assert harmless(said)


def test_one_line_of_plain_text() -> None:
    assert harmless(printable(f"{ATTACK}\n\r\t"))
    assert "\n" not in printable("a\nb")
    assert printable("Größe 日本 — ok") == "Größe 日本 — ok"


def test_json_keeps_its_values() -> None:
    text = json.dumps({"a\\": ATTACK, "b": "Größe"}, ensure_ascii=False)
    safe = printable_json(text.encode())
    assert json.loads(safe) == json.loads(text)
    assert harmless(safe.decode())
    assert "Größe" in safe.decode()
