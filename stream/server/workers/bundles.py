"""Bundles: what many streams have to say at a time, as few messages."""

from __future__ import annotations

from collections.abc import Sequence

from stream.server.workers.messages import Order, Sound, SoundTogether


def bundled(orders: Sequence[Order], sample_rate: int) -> list[Order]:
    """Orders that mean the same, sound of many streams in one where nothing but sound has come from them.

    Args:
        orders: in the order in which they were given. That of each stream stays as it is.
        sample_rate: Hz; sound at other rates is left as it is.
    """
    together: dict[tuple[int, int, bool], list[Sound]] = {}
    rest: list[Order] = []
    turns: dict[int, int] = {}  # sounds of a stream so far; -1 = something else has come from it
    for order in orders:
        if isinstance(order, Sound):
            turn = turns.get(order.seat, 0)
            if turn >= 0 and _is_plain(order, sample_rate):
                turns[order.seat] = turn + 1
                together.setdefault((turn, len(order.samples), order.integer), []).append(order)
                continue
        assert not isinstance(order, SoundTogether)
        turns[order.seat] = -1
        rest.append(order)
    # Turn by turn: the second sound of a stream must not come before its first.
    return [*(_joined(together[kind]) for kind in sorted(together)), *rest]


def _is_plain(order: Sound, sample_rate: int) -> bool:
    valid = order.clean or order.integer
    return valid and order.sample_rate == sample_rate and not order.missing and len(order.samples) > 0


def _joined(sounds: Sequence[Sound]) -> SoundTogether:
    return SoundTogether(
        [sound.seat for sound in sounds],
        b"".join([sound.samples for sound in sounds]),
        sounds[0].integer,
        [sound.start for sound in sounds],
        [sound.captured_at for sound in sounds],
    )
