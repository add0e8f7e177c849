"""What the guide says about the API is so: its requests, its limits, its codes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import stream.server
from stream.logbook.reader import HistoryReader
from stream.server.limits import Limits
from tests.support.command import DEADLINE_SECONDS, wait_for
from tests.support.guides import blocks, text_of
from tests.support.served import served, toy_app
from tests.support.sounds import make
from tests.support.stations import spec

GUIDE = "stream/server/README.md"


def in_words(name: str, value: float) -> str:
    if name.endswith("_seconds"):
        return f"{value:g} s"
    if name.endswith("_bytes"):
        for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
            if value >= size:
                return f"{value / size:g} {unit}"
    return f"{value:g}"


def test_the_table_of_limits_is_that_of_the_program() -> None:
    described = dict(re.findall(r"^        (\w+): (.*)\.$", str(Limits.__doc__), flags=re.M))
    wanted = [
        f"| `{name}` | {in_words(name, default)} | {described[name].replace('``', '`')} |"
        for name, default in zip(Limits.__struct_fields__, Limits.__struct_defaults__, strict=True)
    ]
    table = re.search(r"\| limit \| default \| of what \|\n\| --- .*\n((?:\|.*\n)+)", text_of(GUIDE))
    assert table
    assert table[1].splitlines() == wanted


def test_every_code_is_in_the_table_and_every_one_there_is_used() -> None:
    folder = Path(stream.server.__file__).parent
    source = "".join(
        path.read_text() for part in ("access", "http") for path in sorted((folder / part).glob("*.py"))
    ) + (folder / "refusals.py").read_text() + (folder / "serving.py").read_text()  # fmt: skip
    used = set(re.findall(r'(?:Refused|Forbidden|Unauthorised|error_json)\(\s*"(\w+)"', source))
    used |= {"no_token", "no_room", "cannot_keep", "not_found", "method_not_allowed", "internal", "invalid"}
    section = text_of(GUIDE).split("**Errors**")[1].split("\n### ")[0]
    table = "".join(line for line in section.splitlines() if line.startswith("| "))
    told = set(re.findall(r"`(\w+)`", table))
    assert told == used - {"disconnected", "failed", "truncated"}, (
        "the first nobody reads, the others end lines"
    )


def test_the_requests_of_the_guide_are_answered(tmp_path: Path) -> None:
    import numpy as np
    import soundfile

    if shutil.which("curl") is None:
        pytest.skip("needs curl: apt-get install curl")
    soundfile.write(
        tmp_path / "talk.flac", np.concatenate([make("speech", 16000), make("noise", 16000)]), 16000
    )
    (block,) = [block for block in blocks("sh") if block.mark == "api walk"]
    history = tmp_path / "heard.sqlite"
    app = toy_app(spec("demo", str(tmp_path / "talk.flac"), fast=True, history=str(history)))
    answered = 0
    with served(app) as each:
        wait_for(lambda: app.state.station.glance()[0].state == "ended", "the source to be heard")
        for line in block.code.splitlines()[1:]:  # the first starts a station
            assert "http://127.0.0.1:8765" in line
            wait_for(
                lambda: all(source.state != "starting" for source in app.state.station.glance()),
                "the source that was added, before it is changed",
            )
            done = subprocess.run(
                ["bash", "-c", line.replace("http://127.0.0.1:8765", each.url)],
                cwd=tmp_path, capture_output=True, timeout=DEADLINE_SECONDS,
            )  # fmt: skip
            assert done.returncode == 0, line
            assert b'"error":{' not in done.stdout, (line, done.stdout)
            for text in done.stdout.splitlines():
                if text.startswith(b"{"):
                    json.loads(text)
                    answered += 1
    assert answered > 6
    with HistoryReader(history) as reader:
        assert list(reader.events())
