"""What PortAudio and ALSA print: kept off the screen by the command line, and left alone by the library."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from stream.capture.device import portaudio
from stream.capture.device.microphone import Microphone
from stream.cli.quiet import quieten_portaudio, restore_stderr, without_chatter
from tests.support.pulse import PulseServer, until


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
