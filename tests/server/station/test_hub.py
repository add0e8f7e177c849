"""The hub: nothing waits for a slow watcher, who loses scores and is told, and never an event."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jsonschema
import pytest

from stream.outputs.schema import GapRecord, ScoresRecord
from stream.server.hub import Hub
from stream.server.hub_message import HubKind, HubMessage, LostRecord, hub_schema
from stream.server.watcher import Watcher
from tests.support.stations import Watch, spec, station, wait_for_state


def scores(t: float, source: str = "door") -> HubMessage:
    record = ScoresRecord(
        schema=1, t=t, sample=round(16000 * t), warm=True, probs={"speech": 0.5}, stream="", model="toy"
    )
    return HubMessage("scores", source, record)


def gap(start: int, source: str = "door") -> HubMessage:
    record = GapRecord(
        schema=1, reason="lost", start=start / 16000, start_sample=start, samples=1, duration=0.0,
        sample_rate=16000, source=source, stream="", model="toy", open=False,
    )  # fmt: skip
    return HubMessage("gap", source, record)


async def taken(watcher: Watcher) -> list[Any]:
    return [message.record async for message in watcher]


def watched(messages: list[HubMessage], **options: Any) -> tuple[list[Any], Watcher]:
    """What a watcher gets who reads only when all was published."""

    async def go() -> tuple[list[Any], Watcher]:
        hub = Hub()
        watcher = hub.watch(asyncio.get_running_loop(), **{"kinds": ["scores", "gap"]} | options)
        for message in messages:
            hub.publish(message)
        hub.close("that was all")
        async with asyncio.timeout(20):
            return await taken(watcher), watcher

    return asyncio.run(go())


def test_a_slow_watcher_loses_the_oldest_scores_and_no_gap_and_is_told() -> None:
    messages = [each for at in range(50) for each in (scores(at), gap(at))]
    records, watcher = watched(messages, room=10, event_room=50)
    assert records[0] == LostRecord(schema=1, messages=40)
    assert [record.start_sample for record in records if isinstance(record, GapRecord)] == list(range(50))
    assert [record.t for record in records if isinstance(record, ScoresRecord)] == list(range(40, 50))
    assert records[-2:] == [scores(49).record, gap(49).record]  # in the order in which they were published
    assert watcher.lost == 40
    assert watcher.reason == "that was all"


def test_a_watcher_for_whom_too_many_events_wait_is_closed_and_told() -> None:
    records, watcher = watched([gap(at) for at in range(60)], event_room=50)
    assert len(records) == 50
    assert watcher.reason == "too slow: 50 events and changes wait; read faster"


def test_only_what_was_asked_for_comes() -> None:
    messages = [scores(1, "door"), scores(2, "yard"), gap(3, "yard"), gap(4, "door")]
    records, _ = watched(messages, kinds=["scores"], sources=["yard"])
    assert records == [messages[1].record]


def test_scores_can_be_thinned_and_go_on_behind_a_gap_and_a_new_start() -> None:
    times = [
        *(at / 100 for at in range(100)),
        *(5 + at / 100 for at in range(100)),
        *(at / 100 for at in range(50)),
    ]
    records, _ = watched([scores(t) for t in times], scores_hz=10.0)
    shown = [record.t for record in records]
    assert shown[:4] == [0.0, 0.1, 0.2, 0.3]
    assert [sum(low <= t < low + 1 for t in shown) for low in (0, 5)] == [15, 10]
    unthinned, _ = watched([scores(t) for t in times])
    assert len(unthinned) == 250


def test_nobody_is_asked_to_make_what_nobody_watches() -> None:
    async def go() -> None:
        hub, loop = Hub(), asyncio.get_running_loop()
        assert not hub.wants("scores", "door")
        with hub.watch(loop, kinds=["scores"], sources=["door"]):
            assert hub.wants("scores", "door")
            assert not hub.wants("scores", "yard")
            assert not hub.wants("level", "door")
            with hub.watch(loop, kinds=["scores"]):
                assert hub.wants("scores", "yard")
            assert not hub.wants("scores", "yard")
        assert not hub.wants("scores", "door")
        assert len(hub) == 0

    asyncio.run(go())


def test_a_watcher_whose_loop_is_gone_is_forgotten() -> None:
    hub = Hub()
    loop = asyncio.new_event_loop()
    hub.watch(loop, kinds=["gap"])
    loop.close()
    hub.publish(gap(1))
    assert len(hub) == 0


def test_who_comes_after_the_end_is_told_at_once() -> None:
    async def go() -> str:
        hub = Hub()
        hub.close("over")
        watcher = hub.watch(asyncio.get_running_loop(), kinds=["gap"])
        assert await taken(watcher) == []
        return watcher.reason

    assert asyncio.run(go()) == "over"


@pytest.mark.parametrize("kind", ["scores", "level"])
def test_scores_and_levels_come_while_somebody_watches(kind: HubKind) -> None:
    asked = spec("short", "sim:tone?length=2s&level=-6dB", fast=True)
    with station() as (made, heard):
        watch = Watch(made.hub, kinds=[kind])
        made.add_source(asked)
        wait_for_state(made, "short", "ended")
    watch.joined()
    rows = sum(len(result.scores) for result in heard.runs["short"][0])
    assert len(watch.of(kind, "short")) in ([rows] if kind == "scores" else range(16, 21))
    if kind == "level":  # of a tone: 3 dB below its peak
        assert {(each.rms_dbfs, each.peak_dbfs) for each in watch.of(kind, "short")} == {(-9.0, -6.0)}


def test_every_message_fits_the_schema() -> None:
    schema = hub_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    asked = spec("short", "sim:noise?length=3s&xrun@1s&n=30000", fast=True, threshold=0.01)
    with station() as (made, _):
        watch = Watch(made.hub)
        made.add_source(asked)
        wait_for_state(made, "short", "ended")
    watch.joined()
    kinds = {json.loads(message.json)["type"] for message in watch.messages}
    assert kinds == {"source", "scores", "onset", "event", "gap", "level"}
    validator = jsonschema.Draft202012Validator(schema)
    for message in [each for each in watch.messages if each.kind != "scores"] + watch.messages[::20]:
        validator.validate(json.loads(message.json))
    assert watch.states("short") == ["starting", "listening", "ended"]
