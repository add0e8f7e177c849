"""A microphone without hardware: a private PulseAudio whose null sink's monitor is what PortAudio records.

What is played to the sink is what the microphone hears; unloading the sink pulls the plug.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from stream.messages import Chunk

# For systems where ALSA does not know PulseAudio already.
_ASOUNDRC = """\
pcm.!pulse { type pulse hint { show on description "PulseAudio" } }
ctl.!pulse { type pulse }
"""
SINK = "virtmic"
LIMIT_SECONDS = 30.0  # that a test waits for what must come


class PulseServer:
    """One PulseAudio daemon with everything of its own in ``folder``.

    ``env`` makes a process use it. It is also what must be set before PortAudio is (re)initialised.
    """

    def __init__(self, folder: Path) -> None:
        for sub in ("home", "run"):
            (folder / sub).mkdir(mode=0o700)
        (folder / "home" / ".asoundrc").write_text(_ASOUNDRC)
        self.socket = folder / "run" / "native"
        self.log = folder / "log"
        self.env = {
            "HOME": str(folder / "home"),
            "XDG_CONFIG_HOME": str(folder / "home"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "PULSE_RUNTIME_PATH": str(folder / "run"),
            "PULSE_STATE_PATH": str(folder / "home"),
            "PULSE_SERVER": f"unix:{self.socket}",
        }
        self._module = ""
        self._players: list[subprocess.Popen[bytes]] = []
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the daemon and plug the microphone in."""
        arguments = [
            "--daemonize=no",
            "--exit-idle-time=-1",
            "--use-pid-file=no",
            f"--log-target=file:{self.log}",
        ]
        module = f"module-native-protocol-unix socket={self.socket} auth-anonymous=1"
        self._daemon = subprocess.Popen(
            ["pulseaudio", "-n", *arguments, "-L", module],
            env={**os.environ, **self.env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(200):
            if self._daemon.poll() is not None or self._answers():
                break
            time.sleep(0.05)
        if not self._answers():
            raise RuntimeError(
                f"pulseaudio does not start: {self.log.read_text() if self.log.exists() else ''}"
            )
        self.replug()

    def _answers(self) -> bool:
        asked = subprocess.run(
            ["pactl", "info"], env={**os.environ, **self.env}, capture_output=True, timeout=20
        )
        return asked.returncode == 0

    def pactl(self, *words: str) -> str:
        done = subprocess.run(
            ["pactl", *words], env={**os.environ, **self.env}, capture_output=True, text=True, timeout=20
        )
        if done.returncode:
            raise RuntimeError(f"pactl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def replug(self) -> float:
        """Load the sink; returns the moment (time.monotonic) by which the microphone is back."""
        try:
            # Without rewinds the sink delivers every 50 ms, as a microphone does, and not 2 s ahead.
            self._module = self.pactl("load-module", "module-null-sink", f"sink_name={SINK}", "norewinds=1")
        except RuntimeError:  # an older PulseAudio
            self._module = self.pactl("load-module", "module-null-sink", f"sink_name={SINK}")
        self.pactl("set-default-source", f"{SINK}.monitor")
        return time.monotonic()

    def unplug(self) -> float:
        """Unload the sink; returns the moment (time.monotonic) by which the microphone is gone."""
        self.pactl("unload-module", self._module)
        return time.monotonic()

    def play(self, wav: Path, *, wait: bool = False) -> subprocess.Popen[bytes]:
        """Let the microphone hear a file."""
        player = subprocess.Popen(["paplay", f"--device={SINK}", str(wav)], env={**os.environ, **self.env})
        self._players.append(player)
        if wait:
            player.wait(60)
        return player

    @property
    def pid(self) -> int:
        """The daemon's process id, to freeze it (SIGSTOP) and thaw it (SIGCONT)."""
        assert self._daemon is not None
        return self._daemon.pid

    def stop(self) -> None:
        for player in self._players:
            player.kill()
            player.wait(20)
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait(20)


@contextmanager
def pulse_server() -> Iterator[PulseServer]:
    """A running server, gone afterwards; or the test is skipped, with a word why."""
    missing = [tool for tool in ("pulseaudio", "pactl", "paplay") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not found: install pulseaudio and pulseaudio-utils")
    try:
        import sounddevice  # noqa: F401
    except OSError as error:
        pytest.skip(f"{error}: install libportaudio2")
    # Not pytest's folder: a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="mic-"))
    server = PulseServer(folder)
    try:
        server.start()
        yield server
    finally:
        try:
            server.stop()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def virtual_microphone(monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    """`pulse_server`, with this process's environment and PortAudio turned to it."""
    from stream.capture.device.lookup import refresh

    with pulse_server() as server:
        with monkeypatch.context() as patch:
            for name, value in server.env.items():
                patch.setenv(name, value)
            if not any(device.name == "pulse" for device in refresh()):
                pytest.skip("PortAudio does not list PulseAudio: install libasound2-plugins")
            yield server
        refresh()


def until(chunks: Iterator[Chunk], fits: Callable[[Chunk], bool], log: list[Chunk] | None = None) -> Chunk:
    """Take chunks up to the first that fits."""
    deadline = time.monotonic() + LIMIT_SECONDS
    for chunk in chunks:
        if log is not None:
            log.append(chunk)
        if fits(chunk):
            return chunk
        assert time.monotonic() < deadline, f"never came; last: {chunk}"
    raise AssertionError("the iteration ended")


def loud(chunk: Chunk) -> bool:
    return len(chunk.samples) > 0 and bool(np.abs(chunk.samples).max() > 0.1)
