"""Figures of several replicas as one answer."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from stream.server.cluster.figures import STALE_SECONDS, Board, together


def figures(streams: int, refused: dict[str, int]) -> bytes:
    registry = CollectorRegistry()
    Gauge("streams", "Open", registry=registry).set(streams)
    counter = Counter("refused", "Not granted", ["code"], registry=registry)
    for code, count in refused.items():
        counter.labels(code).inc(count)
    return generate_latest(registry)


def test_samples_of_all_replicas_are_told_apart_and_none_is_lost() -> None:
    text = together({"a": figures(3, {"full": 2}), "b": figures(5, {"full": 1, 'od"d\n': 4})}).decode()
    families = {each.name: each for each in text_string_to_metric_families(text)}
    assert text.count("# TYPE streams gauge") == 1
    assert {each.labels["replica"]: each.value for each in families["streams"].samples} == {"a": 3, "b": 5}
    found = {
        (each.labels["replica"], each.labels["code"]): each.value
        for each in families["refused"].samples
        if each.name == "refused_total"
    }
    assert found == {("a", "full"): 2, ("b", "full"): 1, ("b", 'od"d\n'): 4}


def test_replicas_that_are_gone_are_forgotten() -> None:
    now = [0.0]
    board = Board(lambda: now[0])
    board.pin("a", b"1")
    now[0] = STALE_SECONDS - 1
    board.pin("b", b"2")
    assert board.pinned() == {"a": b"1", "b": b"2"}
    now[0] = STALE_SECONDS + 1
    assert board.pinned() == {"b": b"2"}
