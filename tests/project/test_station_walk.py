"""The first steps of the station's guide, line by line in a shell, as they are printed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from stream.capture.files import read_audio
from stream.cli.serve import DEFAULT_PORT
from tests.support.command import wait_for
from tests.support.extras import needs
from tests.support.guides import ROOT, blocks
from tests.support.mosquitto import answers, free_port
from tests.support.typed_shell import typed_shell

needs("starlette", "uvicorn", "prometheus_client")
(walk,) = (block for block in blocks("sh") if block.mark == "station walk")


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl: apt-get install curl")
def test_a_station_answers(tmp_path: Path) -> None:
    soundfile.write(
        tmp_path / "talk.flac", read_audio(ROOT / "assets" / "demo.ogg", 16000)[: 8 * 16000], 16000
    )
    port = free_port()
    new_token, settings, serve, health, sources, classify = walk.code.strip().splitlines()
    with typed_shell(tmp_path) as shell:
        shell.type(new_token)
        shell.type(settings)
        shell.type(serve.replace("serve ", f"serve --port {port} "))
        wait_for(lambda: answers(port), "the station", shell.child)

        def asked(line: str, done: Callable[[str], bool]) -> str:
            assert str(DEFAULT_PORT) in line
            shell.type(line.replace(str(DEFAULT_PORT), str(port)))
            wait_for(lambda: done(shell.shown()), line, shell.child)
            return shell.shown()

        asked(health, lambda shown: '{"status":"ok"}' in shown)
        asked(sources, lambda shown: '"name":"demo"' in shown)
        before = len(shell.shown())
        shown = asked(classify, lambda shown: shown.count("\n", before) >= 1)[before:]
        (event, *_) = shown[shown.index('{"type":"event"') :].splitlines()
        assert json.loads(event)["label"] == "speech"
