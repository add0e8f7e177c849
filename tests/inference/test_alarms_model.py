"""The bundled ear for alarms: it hears both cadences in synthesised sound, and nothing in other sound."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from stream.inference.session import Model
from stream.installation import asset
from stream.recording import classify

LABELS = ("smoke_alarm", "co_alarm", "beep")
RATE = 16_000
SMOKE, CO = (3, 0.5, 0.5, 1.5), (4, 0.1, 0.1, 5.0)
CYCLE = {"smoke_alarm": 4.0, "co_alarm": 5.7}
ALARM_OF_THE_DEMO = 82.0


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.bundled("alarms", provider="cpu")


def beeps(pulses, on, off, pause, seconds, hertz=3100.0, square=False):
    """(n,) float32, a tone switched on and off; written out here, apart from what the recipe synthesises with."""
    time = np.arange(round(seconds * RATE)) / RATE
    cycle = pulses * on + (pulses - 1) * off + pause
    at = time % cycle
    gate = (at % (on + off) < on) & (at < pulses * (on + off))
    tone = np.sin(2 * np.pi * hertz * time)
    if square:
        tone = sum(np.sin(2 * np.pi * k * hertz * time) / k for k in range(1, 15, 2))
    edge = np.convolve(gate, np.ones(64) / 64, "same")
    return (edge * tone / np.sqrt(np.mean(tone**2))).astype(np.float32)


def background(kind, n):
    rng = np.random.default_rng(5)
    if kind == "noise":
        out = np.cumsum(rng.standard_normal(n))
        out -= soxr.resample(soxr.resample(out, RATE, 100), 100, RATE)[:n] if n else 0
    else:
        import soundfile

        demo, _ = soundfile.read(asset("demo.ogg"), dtype="float32")
        begin = {"speech": 4 * RATE, "music": 15 * RATE}[kind]
        piece = demo[begin : begin + 9 * RATE]
        out = np.resize(piece, n)
    return (out / np.sqrt(np.mean(np.square(out)))).astype(np.float32)


def scene(cadence, kind, ratio, **how):
    """8 s of a background, then 16 s with an alarm ``ratio`` dB above it."""
    alarm = np.concatenate([np.zeros(8 * RATE, np.float32), beeps(*cadence, 16.0, **how)])
    mixed = alarm * np.float32(10 ** (ratio / 20)) + background(kind, len(alarm))
    return 0.05 * mixed


@pytest.mark.parametrize("kind", ["speech", "music", "noise"])
@pytest.mark.parametrize("ratio", [20, 0, -5])
@pytest.mark.parametrize(("cadence", "label"), [(SMOKE, "smoke_alarm"), (CO, "co_alarm")])
@pytest.mark.parametrize(("hertz", "square"), [(3100.0, False), (520.0, True)])
def test_both_alarms_are_heard(model, cadence, label, ratio, kind, hertz, square):
    events = classify(scene(cadence, kind, ratio, hertz=hertz, square=square), model).events
    assert [event.label for event in events] == [label]  # one alarm, one event
    cycles = 2.5 if kind == "music" else 2  # tones mask tones
    assert 8 < events[0].onset_s <= 8 + cycles * CYCLE[label]


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
def test_at_any_rate(model, rate):
    sound = scene(SMOKE, "speech", 10.0)
    events = classify(soxr.resample(sound, RATE, rate), model, sample_rate=rate).events
    assert {event.label for event in events} == {"smoke_alarm"}


def test_a_timer_is_a_beep(model):
    timer = np.concatenate(
        [np.zeros(4 * RATE, np.float32), 0.1 * beeps(1, 0.2, 0.2, 0.2, 10.0, hertz=2000.0)]
    )
    timer += 1e-4 * np.random.default_rng(1).standard_normal(len(timer)).astype(np.float32)
    assert {event.label for event in classify(timer, model).events} == {"beep"}


def test_three_beeps_once_are_no_alarm(model):
    sound = 1e-4 * np.random.default_rng(2).standard_normal(30 * RATE).astype(np.float32)
    sound[5 * RATE : 8 * RATE] += 0.1 * beeps(*SMOKE, 3.0)
    assert not classify(sound, model).events


@pytest.mark.parametrize("silence", ["zeros", "hiss"])
def test_silence_is_silent(model, silence):
    n = 60 * RATE
    sound = np.zeros(n) if silence == "zeros" else 1e-3 * np.random.default_rng(3).standard_normal(n)
    assert not classify(sound.astype(np.float32), model).events


@pytest.mark.parametrize(
    "name",
    [
        "demo.ogg",
        *(f"negatives/{part}-{kind}.ogg" for part in ("test", "validation") for kind in ("speech", "noise")),
    ],
)
def test_it_is_silent_on_what_comes_with_the_package(model, name):
    events = classify(asset(name), model).events
    assert not [(event.label, event.onset_s) for event in events if event.onset_s < ALARM_OF_THE_DEMO]


def test_it_hears_the_smoke_alarm_of_the_demo_in_its_second_group(model):
    (event,) = classify(asset("demo.ogg"), model).events
    assert event.label == "smoke_alarm"
    second_group = ALARM_OF_THE_DEMO + 4.0
    assert second_group < event.onset_s < second_group + 3.0


def test_its_card_says_what_it_is_and_is_not(model):
    card = model.card
    assert card.labels == LABELS
    assert "no life-safety device" in card.description
    assert "does not replace" in card.description
    assert card.licence == "Apache-2.0"
    assert 1000 < card.provenance["parameters"] < 60_000
    assert len(asset("alarms.onnx").read_bytes()) < 4 * 60_000 + 200_000
    assert "no recording of one" in card.sources[0]
    assert len(card.sources) > 15
    assert card.metrics["hours"] > 5
    for label in ("smoke_alarm", "co_alarm"):
        figures = card.metrics["false_in_all"][label]
        assert (
            figures["per_hour_at_most"] >= 3 / card.metrics["hours"] * 0.99
        )  # never better than the hours allow
    assert card.states
