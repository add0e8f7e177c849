"""The scripted microphone: what the script says happens, at the sample it says, the same way every time."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream import SpecError, UnreadableAudio
from stream.capture.files import read_audio
from stream.capture.scenario import BUILT_IN, Fault, Scenario
from stream.capture.simulate import SimulatedSource
from stream.messages import Chunk

FUZZ = int(os.environ.get("STREAM_CLASSIFY_FUZZ", "500"))
RATE = 16_000
Samples = NDArray[np.float32]


def play(text: str, **options: object) -> list[Chunk]:
    return list(SimulatedSource(text, **options))  # type: ignore[arg-type]


def sound(chunks: list[Chunk]) -> Samples:
    """The samples on the stream's own axis; what was lost is NaN."""
    out = np.full(chunks[-1].end, np.nan, np.float32)
    for chunk in chunks:
        out[chunk.start : chunk.end] = chunk.samples
    return out


def gaps(chunks: list[Chunk]) -> list[tuple[int, int]]:
    at, found = 0, []
    for chunk in chunks:
        if chunk.start != at:
            found.append((at, chunk.start))
        at = chunk.end
    return found


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "talk.wav"
    samples = 0.1 * np.random.default_rng(2).standard_normal((44_100 * 4, 2))
    soundfile.write(path, samples, 44_100, subtype="FLOAT")
    return path


def test_without_faults_it_is_the_recording(recording: Path) -> None:
    chunks = play(f"sim:{recording}")
    assert gaps(chunks) == []
    np.testing.assert_array_equal(sound(chunks), read_audio(recording))
    resampled = play(f"sim:{recording}?rate=16000")
    assert resampled[0].sample_rate == RATE
    np.testing.assert_array_equal(sound(resampled), read_audio(recording, RATE))


def test_unplugging_gives_heartbeats_and_then_exactly_the_gap(recording: Path) -> None:
    chunks = play(f"sim:{recording}?unplug@1.5s&for=700ms")
    assert gaps(chunks) == [(66_150, 97_020)]
    beats = [c for c in chunks if c.state == "recovering"]
    assert [round(c.captured_at or 0, 3) for c in beats] == [1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.1]
    assert all(len(c.samples) == 0 and c.start == 66_150 for c in beats)
    assert [c.missing for c in beats] == [0, 4410, 8820, 13_230, 17_640, 22_050, 26_460]
    assert all(c.state == "listening" for c in chunks if len(c.samples))
    # What sounded meanwhile is lost; what comes after is where it would have been.
    plain, heard = read_audio(recording), sound(chunks)
    assert np.isnan(heard[66_150:97_020]).all()
    np.testing.assert_array_equal(heard[97_020:], plain[97_020:])
    np.testing.assert_array_equal(heard[:66_150], plain[:66_150])


def test_an_xrun_is_a_jump_and_no_word() -> None:
    chunks = play("sim:noise?xrun@1s&xrun@2s&n=77")
    assert gaps(chunks) == [(RATE, RATE + 512), (2 * RATE, 2 * RATE + 77)]
    assert all(len(c.samples) and c.state == "listening" for c in chunks)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("zeros@1s&for=250ms", lambda part: np.zeros_like(part)),
        ("nan@1s&for=250ms", lambda part: np.full_like(part, np.nan)),
        ("flat@1s&for=250ms", lambda part: np.full_like(part, part[0])),
        ("clip@1s&for=250ms&gain=30dB", lambda part: np.clip(part * np.float32(10**1.5), -1, 1)),
    ],
)
@pytest.mark.parametrize("block", [0, 1, 5_000])
def test_a_spoiled_stretch_is_spoiled_from_its_first_to_its_last_sample(
    script: str, expected: object, block: int
) -> None:
    plain = sound(play("sim:noise?length=2s"))
    wanted = plain.copy()
    wanted[RATE : RATE + 4_000] = expected(plain[RATE : RATE + 4_000])  # type: ignore[operator]
    np.testing.assert_array_equal(sound(play(f"sim:noise?length=2s&{script}", block_samples=block)), wanted)
    assert not np.array_equal(wanted, plain)


def test_defaults_are_those_in_the_documentation() -> None:
    scenario = Scenario.parse("sim:tone?unplug@1s&xrun@2s&zeros@3s&flat@4s&nan@5s&clip@6s")
    assert scenario == Scenario(
        "tone",
        (
            Fault("unplug", 1.0, 1.0),
            Fault("xrun", 2.0, 0.0, 512),
            Fault("zeros", 3.0, 1.0),
            Fault("flat", 4.0, 1.0),
            Fault("nan", 5.0, 0.01),
            Fault("clip", 6.0, 1.0, gain_db=20.0),
        ),
    )
    assert Scenario.parse("sim:tone") == Scenario("tone", (), None, 0.0, 1, 0.5, 1, 10.0, 440.0, -20.0)


def test_the_whole_language() -> None:
    text = "sim:a/b c.wav?unplug@10s&for=3s&xrun@20s&drift=200ppm&zeros@.5m&nan@31000ms&rate=44100"
    text += "&seed=7&loop=forever&jitter=0"
    assert Scenario.parse(text) == Scenario(
        "a/b c.wav",
        (Fault("unplug", 10, 3), Fault("xrun", 20, 0, 512), Fault("zeros", 30, 1), Fault("nan", 31, 0.01)),
        rate=44_100,
        drift_ppm=200.0,
        seed=7,
        jitter=0.0,
        loop=None,
    )


def test_overlapping_losses_are_one_gap() -> None:
    assert gaps(play("sim:noise?unplug@1s&for=1s&xrun@1.5s&n=100&unplug@1.9s&for=600ms")) == [
        (RATE, RATE * 5 // 2)
    ]


@pytest.mark.parametrize("ppm", [200, -200, 0.5])
def test_a_drifting_clock_takes_more_samples_of_the_same_sound(ppm: float) -> None:
    chunks = play(f"sim:tone?freq=1000&length=60s&drift={ppm}ppm")
    heard = sound(chunks)
    assert len(heard) == round(60 * RATE * (1 + ppm * 1e-6))
    assert chunks[-1].captured_at == pytest.approx(60.0, abs=1e-4)
    turns = 1_000 / (1 + ppm * 1e-6) * np.arange(len(heard)) / RATE
    np.testing.assert_allclose(heard[500:-500], 0.1 * np.sin(2 * np.pi * turns)[500:-500], atol=2e-4)


def test_looping(recording: Path) -> None:
    once = sound(play(f"sim:{recording}"))
    np.testing.assert_array_equal(sound(play(f"sim:{recording}?loop=3")), np.tile(once, 3))
    endless = iter(SimulatedSource(f"sim:{recording}?loop=forever"))
    at = 0
    while at < 5 * len(once):
        at = next(endless).end


def test_the_seed_decides_everything() -> None:
    script = "sim:noise?length=3s&xrun@1s&unplug@2s&for=100ms"
    a, b, other = play(f"{script}&seed=4"), play(f"{script}&seed=4"), play(f"{script}&seed=5")
    assert [(c.start, c.end, c.captured_at, c.state) for c in a] == [
        (c.start, c.end, c.captured_at, c.state) for c in b
    ]
    np.testing.assert_array_equal(sound(a), sound(b))
    assert [c.start for c in a] != [c.start for c in other]
    assert not np.array_equal(sound(a)[:1_000], sound(other)[:1_000])
    assert len({len(c.samples) for c in a}) > 10
    assert {len(c.samples) for c in play("sim:noise?jitter=0")} == {320}


def test_built_in_sounds() -> None:
    tone, hush = (
        sound(play("sim:tone?freq=500&level=-6dB&length=1s&rate=8000")),
        sound(play("sim:silence?length=500ms")),
    )
    assert np.abs(np.fft.rfft(tone)).argmax() == 500
    assert np.abs(tone).max() == pytest.approx(10 ** (-6 / 20), rel=1e-4)
    assert len(tone) == len(hush) == 8_000
    assert not hush.any()
    noise = sound(play("sim:noise?level=-30dB"))
    assert 20 * np.log10(np.sqrt(np.mean(noise**2))) == pytest.approx(-30, abs=0.1)


def test_in_real_time_it_keeps_the_device_clock() -> None:
    now = [50.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds + 0.004

    source = SimulatedSource(
        "sim:noise?drift=5000ppm&unplug@1s&for=2s", fast=False, clock=lambda: now[0], sleep=sleep
    )
    assert source.info().live
    moments = []
    for chunk in source:
        due = 50.0 + (chunk.end if len(chunk.samples) else 0) / (RATE * 1.005)
        if len(chunk.samples):
            assert due - 1e-9 <= now[0] <= due + 0.004 + 1e-9
        else:
            moments.append(now[0])
    assert len(moments) == 20
    assert np.diff(moments) == pytest.approx(0.1 / 1.005, abs=1e-6)


def test_closing_wakes_it() -> None:
    source = SimulatedSource("sim:silence?unplug@0s&for=1h", fast=False, clock=lambda: 0.0)
    chunks = iter(source)
    thread = threading.Thread(target=lambda: list(chunks), daemon=True)
    thread.start()
    source.close()
    thread.join(20)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sim:", "nothing to play"),
        ("sim:tone?boom@3s", "'boom@3s' is not known: events are unplug@TIME, xrun@TIME"),
        ("sim:tone?speed=3", "settings rate, drift, seed"),
        ("sim:tone?", None),
        ("sim:tone?&", "is not known"),
        ("sim:tone?for=3s", "must follow an event that takes it: unplug, zeros, flat, nan, clip"),
        ("sim:tone?xrun@1s&for=3s", "must follow an event"),
        ("sim:tone?unplug@1s&n=3", "xrun"),
        ("sim:tone?unplug@1s&for=3s&for=4s", "second time"),
        ("sim:tone?seed=1&seed=2", "second time"),
        ("sim:tone?unplug@soon", "not a time"),
        ("sim:tone?unplug@-1s", "not a time"),
        ("sim:tone?unplug@", "not a time"),
        ("sim:tone?unplug@1s&for=0s", "no time"),
        ("sim:tone?length=0", "nothing to play"),
        (f"sim:tone?length={'9' * 5000}", "not a time"),
        ("sim:tone?rate=12", "1000 to 768000"),
        ("sim:tone?rate=nan", "1000 to 768000"),
        ("sim:tone?drift=1e5", "-10000 to 10000 ppm"),
        ("sim:tone?jitter=2", "0 to 1"),
        ("sim:tone?loop=0", "whole number"),
        ("sim:tone?level=+3dB", "-200 to 0 dB"),
        ("sim:noise?freq=300", "belongs to tone"),
        ("sim:talk.wav?length=3s", "belongs to tone, noise, silence"),
        ("sim:tone?unplug@10s", "never reached, tone ends after 10 s: add loop=forever"),
    ],
)
def test_what_cannot_be_understood_says_what_can(text: str, words: str | None) -> None:
    if words is None:
        play(text)
        return
    with pytest.raises(SpecError, match=words) as caught:
        SimulatedSource(text)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_not_a_matter_of_grammar(tmp_path: Path) -> None:
    with pytest.raises(UnreadableAudio, match="no such file"):
        SimulatedSource(f"sim:{tmp_path / 'no.wav'}?unplug@1s")


ITEM = st.one_of(
    st.builds(
        "{}@{}".format,
        st.sampled_from(["unplug", "xrun", "zeros", "flat", "nan", "clip", "x"]),
        st.sampled_from(["0s", "100ms", "1s", ".5", "1m", "", "1e3", "s", "١s"]),
    ),
    st.builds(
        "{}={}".format,
        st.sampled_from(
            ["for", "n", "gain", "rate", "drift", "seed", "jitter", "loop", "length", "freq", "level", "y"]
        ),
        st.sampled_from(
            ["1", "0", "16000", "1s", "2ppm", "-1", "forever", "inf", "nan", "0.5", "", "=", "9" * 30]
        ),
    ),
    st.text(max_size=12),
)


@settings(max_examples=FUZZ, deadline=2_000)
@given(material=st.one_of(st.sampled_from(BUILT_IN), st.text(max_size=8)), items=st.lists(ITEM, max_size=6))
@example(material="\n", items=["length="])  # a line break in the error
def test_fuzzed_scripts(material: str, items: list[str]) -> None:
    text = f"sim:{material}{'?' if items else ''}{'&'.join(items)}"
    try:
        scenario = Scenario.parse(text)
    except SpecError as error:
        if "\n" in str(error):
            raise
        return
    if not scenario.built_in:
        return
    try:
        source = SimulatedSource(scenario)
    except SpecError:
        return
    at = 0
    for _, chunk in zip(range(50), source, strict=False):
        assert chunk.start >= at
        assert chunk.sample_rate == source.sample_rate
        at = chunk.end
