"""A real microphone path: PulseAudio without hardware, PortAudio, and what happens when it breaks.

Times are compared as sound that was accounted for, never as speed.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stream.capture.device import thread as device_thread
from stream.capture.device.microphone import Microphone
from stream.capture.live.ring import Run, WhenLate
from stream.capture.live.supervisor import Patience
from stream.capture.opening import open_source
from stream.capture.source import AudioSource
from stream.errors import ClosedError, DeviceError
from stream.messages import Chunk
from tests.support.command import wait_for
from tests.support.pulse import LIMIT_SECONDS, PulseServer, loud, until

pytestmark = pytest.mark.pulse


def sine(path: Path, *hertz: float, seconds: float = 20.0, level: float = 0.25, rate: int = 44100) -> Path:
    """A WAV file with one tone a channel."""
    t = np.arange(round(seconds * rate)) / rate
    soundfile.write(path, level * np.sin(2 * np.pi * np.outer(t, hertz)), rate, subtype="FLOAT")
    return path


def record(chunks: Iterator[Chunk], count: int) -> np.ndarray:
    """(count,) consecutive samples."""
    taken: list[np.ndarray] = []
    end = None
    while sum(map(len, taken)) < count:
        chunk = until(chunks, lambda chunk: len(chunk.samples) > 0)
        assert end is None or chunk.start == end
        end = chunk.end
        taken.append(chunk.samples)
    return np.concatenate(taken)[:count]


def tone(samples: np.ndarray, rate: int) -> tuple[float, float]:
    """Frequency in Hz of the strongest sine, and its amplitude."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * rate / len(samples)), float(np.sqrt(2) * samples.std())


@pytest.mark.parametrize("rate", [None, 16000])
def test_hears_a_tone_at_its_pitch_and_level(
    virtual_mic: PulseServer, tmp_path: Path, rate: int | None
) -> None:
    virtual_mic.play(sine(tmp_path / "a.wav", 997.0, 997.0))
    with Microphone("pulse", sample_rate=rate) as microphone:
        info = microphone.info()
        assert isinstance(microphone, AudioSource)
        assert microphone.sample_rate == info.sample_rate == (rate or 44100)
        assert (info.name, info.channel, info.live) == ("pulse", "1", True)
        chunks = iter(microphone)
        first = until(chunks, loud)
        assert first.state == "listening"
        assert first.sample_rate == microphone.sample_rate
        record(chunks, microphone.sample_rate // 10)
        hertz, level = tone(record(chunks, microphone.sample_rate), microphone.sample_rate)
        assert microphone.report().lost == 0
    assert hertz == pytest.approx(997, abs=1)
    assert level == pytest.approx(0.25, rel=0.02)


@pytest.mark.parametrize(("channel", "expected"), [(1, {500}), ("2", {1500}), ("mix", {500, 1500})])
def test_takes_the_channel_it_was_told(
    virtual_mic: PulseServer, tmp_path: Path, channel: int | str, expected: set[int]
) -> None:
    virtual_mic.play(sine(tmp_path / "a.wav", 500.0, 1500.0))
    with Microphone("pulse", channel=channel) as microphone:
        chunks = iter(microphone)
        until(chunks, loud)
        record(chunks, 4410)
        spectrum = np.abs(np.fft.rfft(record(chunks, 44100))) * 2 / 44100  # one bin a hertz
    share = 0.25 / len(expected)
    assert {hertz for hertz in (500, 1500) if spectrum[hertz] > 0.8 * share} == expected
    assert all(spectrum[hertz] < 1.2 * share for hertz in (500, 1500))


def test_is_what_open_source_gives_for_a_name_and_for_nothing(virtual_mic: PulseServer) -> None:
    for text in ("pulse", None):
        with open_source(text) as source:
            assert isinstance(source, Microphone)
            assert until(iter(source), lambda chunk: len(chunk.samples) > 0).start == 0


@pytest.mark.parametrize("policy", ["drop-oldest", "skip-to-now"])
def test_a_late_consumer_loses_samples_and_knows_exactly_which(
    virtual_mic: PulseServer, tmp_path: Path, policy: WhenLate
) -> None:
    rate = 44100  # as the sink's: what is heard is what was played, bit for bit
    noise = np.random.default_rng(7).integers(1, 2**15, 20 * rate).astype(np.int16)
    soundfile.write(tmp_path / "noise.wav", noise, rate)
    with Microphone("pulse", sample_rate=rate, buffer_seconds=0.25, when_late=policy) as microphone:
        virtual_mic.play(tmp_path / "noise.wav")
        chunks = iter(microphone)
        first = until(chunks, loud)
        began = first.start + int(np.flatnonzero(first.samples)[0])
        assert microphone.report().lost == 0
        received, end = first.end, first.end
        for _ in range(3):
            dropped = microphone.report().dropped
            wait_for(lambda: microphone.report().dropped >= dropped + 10_000, "dropped samples")  # noqa: B023
            for _ in range(4):
                chunk = until(chunks, lambda chunk: len(chunk.samples) > 0)
                heard = noise[chunk.start - began : chunk.end - began]
                np.testing.assert_allclose(chunk.samples, heard / 2**15, atol=2**-15)
                received += len(chunk.samples)
                end = chunk.end
        # Nothing may be dropped while the sum is made.
        microphone._ring.close()
        assert microphone.report().lost == microphone.report().dropped >= 30_000
        remaining = sum(len(chunk.samples) for chunk in chunks)
        assert microphone.report().waiting == 0
        assert received + remaining + microphone.report().lost == microphone._ring.end >= end


def test_long_chunks_for_who_can_wait(virtual_mic: PulseServer, tmp_path: Path) -> None:
    virtual_mic.play(sine(tmp_path / "a.wav", 997.0, 997.0))
    with Microphone("pulse", sample_rate=16000, chunk_seconds=0.06) as microphone:
        assert "block 960" in microphone.info().detail
        chunks = iter(microphone)
        until(chunks, loud)
        lengths = [len(next(chunks).samples) for _ in range(20)]
        assert microphone.report().lost == 0
    # A heartbeat brings what is there, on a busy machine less than a chunk.
    assert sum(length >= 960 for length in lengths) >= 10


def test_digital_silence_is_a_state(virtual_mic: PulseServer, tmp_path: Path) -> None:
    with Microphone("pulse", patience=Patience(flat=0.5)) as microphone:
        chunks = iter(microphone)
        silent = until(chunks, lambda chunk: chunk.state == "silent")
        assert silent.detail == "the sound is a flat line"
        assert not silent.samples.any()
        assert silent.end >= microphone.sample_rate // 2
        assert not loud(silent)
        virtual_mic.play(sine(tmp_path / "a.wav", 440.0))
        heard = until(chunks, loud)
        assert (heard.state, heard.detail) == ("listening", "")


def test_a_device_is_watched_while_nobody_reads(virtual_mic: PulseServer) -> None:
    """Digital silence and a lost device are noticed, and the device opened again, beside a consumer that sleeps."""
    patience = Patience(flat=0.3, flat_reopen=0.3, longest_flat_reopen=0.3)
    seen: set[tuple[str, str]] = set()
    wanted = {
        ("silent", "the sound is a flat line"),
        ("recovering", "a flat line for a long time: looking for the device again"),
    }
    with Microphone("pulse", patience=patience) as microphone:
        deadline = time.monotonic() + LIMIT_SECONDS
        while not wanted <= seen and time.monotonic() < deadline:
            seen.add(tuple(microphone.health))
            time.sleep(0.002)
    assert wanted <= seen


def test_unplugged_and_plugged_in_again(virtual_mic: PulseServer) -> None:
    log: list[Chunk] = []
    with Microphone("pulse") as microphone:
        chunks = iter(microphone)
        until(chunks, lambda chunk: chunk.end > microphone.sample_rate, log)
        virtual_mic.unplug()
        until(chunks, lambda chunk: chunk.state == "recovering", log)
        assert microphone.health.state == "recovering"
        assert microphone.report().detail
        deadline = time.monotonic() + 2.5
        until(chunks, lambda chunk: time.monotonic() > deadline, log)
        back = virtual_mic.replug()
        again = until(chunks, lambda chunk: len(chunk.samples) > 0, log)
        until(chunks, lambda chunk: chunk.end > again.end + microphone.sample_rate // 2, log)
    sound = [chunk for chunk in log if len(chunk.samples)]
    at = sound.index(again)
    before = sound[at - 1]
    gap = again.start - before.end
    assert gap == microphone.report().lost
    assert all(a.end == b.start for a, b in itertools.pairwise(sound) if b is not again)
    # The gap is as long as the clock says: from the last sample, by the least delay of any before it, to the
    # first sample that came again. And it came soon after the microphone did.
    rate = microphone.sample_rate
    assert again.captured_at is not None
    zero = min(c.captured_at - c.end / rate for c in sound[:at] if c.captured_at is not None)
    began = again.captured_at - len(again.samples) / rate
    assert gap / rate == pytest.approx(began - (zero + before.end / rate), abs=0.02)
    assert gap / rate > 2.0
    assert began - back < 2.0
    beats = [chunk for chunk in log[log.index(before) : log.index(again)] if not len(chunk.samples)]
    assert all(chunk.start == before.end for chunk in beats)
    assert beats[-1].state == "recovering"
    assert again.state in ("listening", "silent")


def test_a_stream_that_is_moved_to_a_dummy_comes_back(virtual_mic: PulseServer, tmp_path: Path) -> None:
    """With module-always-sink, as on desktops, nothing ends: callbacks just stop, and a dummy gives zeros."""
    virtual_mic.pactl("load-module", "module-always-sink")
    with Microphone("pulse", patience=Patience(flat=0.5)) as microphone:
        chunks = iter(microphone)
        until(chunks, lambda chunk: chunk.end > 10_000)
        virtual_mic.unplug()
        until(chunks, lambda chunk: chunk.state == "recovering")
        virtual_mic.replug()
        virtual_mic.play(sine(tmp_path / "a.wav", 440.0))
        assert until(chunks, loud).state == "listening"


def test_two_microphones_do_not_kill_each_other(virtual_mic: PulseServer) -> None:
    with Microphone("pulse") as one, Microphone("default") as two:
        ones, twos = iter(one), iter(two)
        for chunks in (ones, twos):
            until(chunks, lambda chunk: len(chunk.samples) > 0)
        virtual_mic.unplug()
        for chunks in (ones, twos):
            until(chunks, lambda chunk: chunk.state == "recovering")
        virtual_mic.replug()
        for chunks, microphone in ((ones, one), (twos, two)):
            until(chunks, lambda chunk: len(chunk.samples) > 0 and chunk.start > 0)
            assert microphone.report().lost > 0


def test_without_reopening_the_iteration_ends_and_says_so(virtual_mic: PulseServer) -> None:
    with Microphone("pulse", reopen=False) as microphone:
        chunks = iter(microphone)
        until(chunks, lambda chunk: len(chunk.samples) > 0)
        virtual_mic.unplug()
        last = until(chunks, lambda chunk: chunk.state == "failed")
        assert len(last.samples) == 0
        assert list(chunks) == []
        assert microphone.report().detail == "the device ended the stream"


def test_an_error_in_the_device_thread_reaches_the_consumer(
    virtual_mic: PulseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("a bug")

    with Microphone("pulse") as microphone:
        chunks = iter(microphone)
        until(chunks, lambda chunk: len(chunk.samples) > 0)
        monkeypatch.setattr(device_thread, "refresh", broken)
        virtual_mic.unplug()
        with pytest.raises(RuntimeError, match="a bug"):
            until(chunks, lambda chunk: False)


def test_what_cannot_be_opened_says_so_at_once(virtual_mic: PulseServer) -> None:
    microphone = Microphone("pulse")
    virtual_mic.unplug()
    with pytest.raises(DeviceError, match="pulse"):
        next(iter(microphone))
    with pytest.raises(ClosedError, match="pulse was closed"):
        iter(microphone)


def test_an_iteration_closes_what_it_opened(virtual_mic: PulseServer) -> None:
    microphone = Microphone("pulse")
    for chunk in microphone:
        if len(chunk.samples):
            break
    with pytest.raises(ClosedError):
        iter(microphone)
    assert virtual_mic.pactl("list", "short", "source-outputs") == ""


def test_closing_ends_the_iteration_from_any_thread(virtual_mic: PulseServer) -> None:
    with Microphone("pulse") as microphone:
        closing = threading.Timer(0.3, microphone.close)
        closing.start()
        assert sum(len(chunk.samples) for chunk in microphone) > 0
        closing.join(20)
        microphone.close()


def test_closing_from_a_signal_handler(virtual_mic: PulseServer) -> None:
    with Microphone("pulse") as microphone:
        before = signal.signal(signal.SIGUSR1, lambda *_: microphone.close())
        kill = threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGUSR1])
        try:
            kill.start()
            assert sum(len(chunk.samples) for chunk in microphone) > 0
        finally:
            kill.join(20)
            signal.signal(signal.SIGUSR1, before)


def test_closing_from_a_signal_handler_that_interrupts_the_copy(
    virtual_mic: PulseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The read holds the lock that PortAudio's thread needs to finish: waiting for it would be a deadlock."""
    given_up: list[None] = []
    monkeypatch.setattr(device_thread, "abandon", lambda: given_up.append(None))
    with Microphone("pulse") as microphone:
        chunks = iter(microphone)
        until(chunks, lambda chunk: len(chunk.samples) > 0)
        ring = microphone._ring
        read = ring.read

        def interrupted(maximum: int, timeout: float, minimum: int) -> Run:
            with ring._change:
                time.sleep(0.05)  # PortAudio's thread comes to wait for the lock
                microphone.close()
            return read(maximum, timeout, minimum)

        monkeypatch.setattr(ring, "read", interrupted)
        assert list(chunks) == []
    assert not given_up


FROZEN = """
import os, signal, sys, time
from stream.capture.device.microphone import Microphone

daemon = int(sys.argv[1])
with Microphone("pulse") as microphone:
    frozen = beats = end = 0
    for chunk in microphone:
        if not frozen and chunk.end > 20000:
            os.kill(daemon, signal.SIGSTOP)
            frozen = True
        elif frozen and chunk.state == "recovering":
            beats += 1
            if beats == 10:
                print("still beating", flush=True)
                if sys.argv[2] == "close":
                    break
                os.kill(daemon, signal.SIGCONT)
                end = chunk.end
            if beats > 600:
                sys.exit("it does not come back")
        elif end and chunk.start > end:
            break
print("closed", chunk.start > end > 0, flush=True)
"""


@pytest.mark.parametrize("then", ["close", "thaw"])
def test_a_sound_server_that_hangs_hangs_nobody(virtual_mic: PulseServer, then: str) -> None:
    """In a process of its own: PortAudio is left in the middle of a call."""
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", FROZEN, str(virtual_mic.pid), then],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"still beating\nclosed {then == 'thaw'}\n"
