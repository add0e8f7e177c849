"""What the command line does to its process, and the library does not: environment and standard error."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from stream.capture.device import portaudio
from stream.capture.device.microphone import Microphone
from stream.cli import ENVIRONMENT
from stream.cli.quiet import quieten_portaudio, restore_stderr, without_chatter
from tests.support.pulse import PulseServer, until


@pytest.mark.parametrize("given", [None, "10"])
def test_libraries_are_told_by_the_environment_what_the_user_has_not(given: str | None) -> None:
    """Before any of them is imported."""
    code = """
import os, sys
sys.modules["soxr"] = sys.modules["numpy"] = None
from stream.cli import main
try:
    main(["--version"])
except SystemExit:
    print(*(os.environ[name] for name in ("OPENBLAS_NUM_THREADS", "SOXR_MIN_DFT_SIZE", "SOXR_LARGE_DFT_SIZE")))
"""
    kept = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    kept |= {} if given is None else {"SOXR_MIN_DFT_SIZE": given}
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == f"1 {given or 8} 8"


@pytest.fixture
def quiet() -> Iterator[None]:
    quieten_portaudio()
    yield
    portaudio.wrap_calls(nullcontext, nullcontext)


def test_chatter_of_c_libraries_is_kept_off_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with without_chatter():
        os.write(2, b"ALSA lib pcm.c: no\nExpression 'x' failed\nsomebody else's line\n\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "somebody else's line\nafter\n"


def test_standard_error_comes_back_while_a_call_hangs(
    capfd: pytest.CaptureFixture[str], quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portaudio.sys, "modules", {})  # nothing to unregister
    with without_chatter():
        portaudio.abandon()
        os.write(2, b"it hangs\n")
    restore_stderr()
    assert capfd.readouterr().err == "it hangs\n"


@pytest.mark.pulse
def test_looking_for_an_unplugged_microphone_is_quiet(
    virtual_mic: PulseServer, quiet: None, capfd: pytest.CaptureFixture[str]
) -> None:
    with Microphone("pulse") as microphone:
        chunks = iter(microphone)
        until(chunks, lambda chunk: len(chunk.samples) > 0)
        virtual_mic.unplug()
        until(chunks, lambda chunk: chunk.state == "recovering")
        capfd.readouterr()  # PortAudio's thread may say its piece once
        for _ in range(20):
            next(chunks)
        assert "ALSA lib" not in capfd.readouterr().err


@pytest.mark.pulse
def test_the_library_leaves_file_descriptors_alone(
    virtual_mic: PulseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "dup2", lambda one, two: moved.append((one, two)))
    with Microphone("pulse") as microphone:
        until(iter(microphone), lambda chunk: len(chunk.samples) > 0)
    assert moved == []


def test_warnings_are_single_lines_without_code() -> None:
    code = (
        "import warnings, sys\n"
        "from stream.cli import main\n"
        "import stream.cli.app as app\n"
        "def listen(*args, **options):\n"
        "    for line in range(2):\n"
        "        warnings.warn('5 recordings\\nsound odd', stacklevel=1)\n"
        "app.app.main = listen\n"
        "main([])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.stderr == "stream-classify: warning: 5 recordings sound odd\n"
