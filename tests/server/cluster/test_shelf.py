"""Where streams wait on their way: bounded, for a while, and with one owner each."""

from __future__ import annotations

import random

from stream.server.cluster.ray_store import OVERHEAD_BYTES, Shelf

MANY = 1 << 20


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_is_put_is_taken_once() -> None:
    shelf = Shelf(MANY)
    shelf.put("a", [("one", b"1", 60), ("two", b"2", 60)])
    assert shelf.take("b", "one", 60) == b"1"
    assert shelf.take("b", "one", 60) is None
    assert shelf.take("c", "two", 60) == b"2"
    assert shelf.take("a", "three", 60) is None


def test_the_newest_state_counts() -> None:
    shelf = Shelf(MANY)
    shelf.put("a", [("one", b"old", 60)])
    shelf.put("a", [("one", b"new", 60)])
    assert shelf.usage() == (1, 3 + OVERHEAD_BYTES)
    assert shelf.take("b", "one", 60) == b"new"


def test_a_replica_that_lost_its_client_to_another_cannot_overwrite_what_that_one_knows() -> None:
    shelf = Shelf(MANY)
    shelf.put("a", [("one", b"at 1 s", 60)])
    assert shelf.take("b", "one", 60) == b"at 1 s"
    shelf.put("a", [("one", b"at 1.5 s", 60)])
    assert shelf.take("c", "one", 60) is None
    shelf.put("b", [("one", b"at 9 s", 60)])
    shelf.put("a", [("one", b"at 2 s", 60)])
    shelf.drop("a", "one")
    assert shelf.take("c", "one", 60) == b"at 9 s"


def test_whoever_puts_back_what_it_took_has_changed_nothing() -> None:
    shelf = Shelf(MANY)
    shelf.put("a", [("one", b"at 1 s", 60)])
    taken = shelf.take("b", "one", 60)
    assert taken is not None
    shelf.put("b", [("one", taken, 60)])
    shelf.put("a", [("one", b"at 3 s", 60)])
    assert shelf.take("c", "one", 60) == b"at 3 s"


def test_states_are_kept_for_a_while() -> None:
    clock = Clock()
    shelf = Shelf(MANY, clock)
    shelf.put("a", [("one", b"1", 60), ("two", b"2", 10)])
    clock.now = 10.0
    assert shelf.take("b", "two", 60) is None
    clock.now = 59.9
    assert shelf.take("b", "one", 60) == b"1"
    clock.now = 120.0
    shelf.put("a", [])
    assert shelf.usage() == (0, 0)


def test_the_oldest_make_room_and_bytes_are_counted_right() -> None:
    clock = Clock()
    most = 20 * (100 + OVERHEAD_BYTES)
    shelf = Shelf(most, clock)
    dice = random.Random(5)
    for step in range(2000):
        clock.now += dice.random()
        stream, owner = f"stream {dice.randrange(60)}", f"replica {dice.randrange(3)}"
        match dice.randrange(4):
            case 0:
                shelf.take(owner, stream, 5)
            case 1:
                shelf.drop(owner, stream)
            case _:
                shelf.put(owner, [(stream, bytes(dice.randrange(200)), dice.choice([1, 30, 300]))])
        assert 0 <= shelf.usage()[1] <= most, step
    for number in range(60):
        shelf.put("replica 0", [(f"new {number}", bytes(100), 60)])
    assert shelf.usage() == (20, most)
    assert shelf.take("b", "new 39", 60) is None
    assert shelf.take("b", "new 40", 60) == bytes(100)
