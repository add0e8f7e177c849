"""A stream gets, to the bit, what one offline pass over the same sound gives."""

from __future__ import annotations

import numpy as np
import pytest

from stream.inference.session import Model
from stream.messages import Chunk
from tests.support.served import ServedApp
from tests.support.stream_peer import Offline, Peer, as_s16, from_s16, noise, told_events, told_rows


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000, 11_025])
@pytest.mark.parametrize("kind", ["s16le", "f32le"])
def test_any_rate_format_and_chunking(station: ServedApp, model: Model, rate: int, kind: str) -> None:
    rng = np.random.default_rng(rate)
    sound = noise(3, rate, seed=rate)
    data = as_s16(sound) if kind == "s16le" else sound.astype("<f4").tobytes()
    heard = from_s16(data) if kind == "s16le" else sound
    offline = Offline(model, [Chunk(heard, 0, rate)])
    assert len(offline.events) > 2
    with Peer(station.url) as peer:
        ready = peer.hello(rate, format=kind, scores="all", exact=True)
        assert ready["labels"] == list(model.labels)
        assert (ready["position"], ready["resumed"]) == (0, False)
        size = 2 if kind == "s16le" else 4
        at = 0
        while at < len(data):
            count = int(rng.choice([1, 7, 159, 160, 161, 1600, 5000])) * size
            peer.say(data[at : at + count])
            at += count
        end = peer.end()
    assert end["checksum"] == offline.checksum
    assert (end["rows"], end["left_out"], end["lost"]) == (len(offline.scores), 0, 0)
    assert end["position"] == len(sound)
    samples, probs = told_rows(peer.got)
    np.testing.assert_array_equal(samples, offline.scores.sample)
    np.testing.assert_array_equal(probs, offline.scores.probs)
    assert told_events(peer.got) == offline.told
    assert end["events"] == sum(event.offset is not None for event in offline.events)


def test_channels_are_mixed_or_chosen(station: ServedApp, model: Model) -> None:
    left, right = noise(1, seed=1), noise(1, seed=2)
    both = np.stack([left, right], axis=1).astype("<f4")
    mixed = (both.astype(np.float64).sum(axis=1) / 2).astype(np.float32)
    for channel, heard in (("mix", mixed), (1, left), (2, right)):
        with Peer(station.url) as peer:
            peer.hello(format="f32le", channels=2, channel=channel)
            peer.say(both.tobytes())
            assert peer.end()["checksum"] == Offline(model, [Chunk(heard, 0, 16_000)]).checksum


@pytest.mark.parametrize("lost", [100, 16_000, 160_001])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_what_the_client_lost_is_a_gap(station: ServedApp, model: Model, lost: int, rate: int) -> None:
    sound = noise(2, rate, seed=3)
    half = rate
    offline = Offline(model, [Chunk(sound[:half], 0, rate), Chunk(sound[half:], half + lost, rate)])
    with Peer(station.url) as peer:
        peer.hello(rate, format="f32le")
        peer.say(sound[:half].tobytes())
        peer.say({"type": "gap", "samples": lost})
        peer.say(sound[half:].tobytes())
        end = peer.end()
    assert end["checksum"] == offline.checksum
    assert end["position"] == len(sound) + lost
    gaps = [each["record"] for each in peer.got if each["type"] == "gap"]
    closed = [(gap["start_sample"], gap["samples"]) for gap in gaps if not gap["open"]]
    assert closed == [(gap.start, gap.length) for gap in offline.gaps]
    assert end["lost"] == sum(gap.length for gap in offline.gaps)
    assert told_events(peer.got) == offline.told


def test_loud_floats_are_sound(station: ServedApp, model: Model) -> None:
    sound = noise(2, seed=14)
    sound[4000:8000] *= 1e5
    offline = Offline(model, [Chunk(sound, 0, 16_000)])
    with Peer(station.url) as peer:
        peer.hello(format="f32le")
        for at in range(0, len(sound), 777):
            peer.say(sound[at : at + 777].tobytes())
        end = peer.end()
    assert (end["checksum"], end["repaired"], end["lost"]) == (offline.checksum, 0, 0)


def test_invalid_floats_are_missing_samples_if_the_hello_says_so(station: ServedApp, model: Model) -> None:
    sound = noise(2, seed=4)
    sound[3000:3010] = np.nan  # repaired
    sound[9000] = np.inf
    sound[12_000:13_000] = np.nan  # a gap
    sound[20_000] = 1e5  # loud, and a number
    offline = Offline(model, [Chunk(sound, 0, 16_000)])
    with Peer(station.url) as peer:
        peer.hello(format="f32le", missing="nan")
        for at in range(0, len(sound), 777):
            peer.say(sound[at : at + 777].tobytes())
        end = peer.end()
    assert end["checksum"] == offline.checksum
    assert (end["repaired"], end["lost"]) == (11, 1000)
    assert [each["record"]["reason"] for each in peer.got if each["type"] == "gap"] == ["missing"]


def test_rows_at_a_chosen_rate_and_of_chosen_labels(station: ServedApp, model: Model) -> None:
    sound = noise(3, seed=5)
    offline = Offline(model, [Chunk(sound, 0, 16_000)])
    with Peer(station.url) as peer:
        assert peer.hello(format="f32le", scores=4, labels=["noise", "speech"])["labels"] == [
            "noise",
            "speech",
        ]
        for at in range(0, len(sound), 1600):
            peer.say(sound[at : at + 1600].tobytes())
        assert peer.end()["checksum"] == offline.checksum  # which is about all rows and labels
    samples, probs = told_rows(peer.got)
    assert set(np.diff(samples)[1:]) == {4000}
    rows = np.isin(offline.scores.sample, samples)
    assert rows.sum() == len(samples) == 12
    np.testing.assert_allclose(probs, offline.scores.probs[rows][:, [2, 0]], atol=5.1e-5)
    assert told_events(peer.got) == [each for each in offline.told if each[1] != "music"]


def test_no_scores_and_no_onsets(station: ServedApp, model: Model) -> None:
    sound = noise(2, seed=6)
    with Peer(station.url) as peer:
        peer.hello(format="f32le", scores=0, onsets=False)
        peer.say(sound.tobytes())
        peer.end()
    assert not [each for each in peer.got if each["type"] == "scores"]
    events = told_events(peer.got)
    assert events
    assert all(offset is not None for *_, offset in events)
