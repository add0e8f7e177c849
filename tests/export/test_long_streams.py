"""Batches of long streams: each stream once an epoch, in order, with state carried, reset now and then."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from export.training import Batch, Curriculum, LongStreamBatches

STREAMS, FRAMES, CHUNK, ROWS = 40, 25, 6, 4
# Feature 0 is the stream's number, feature 1 the frame's; the label of a class is the parity of each.
FEATURES = np.stack(np.broadcast_arrays(np.arange(STREAMS)[:, None], np.arange(FRAMES)), axis=2).astype(
    np.float16
)
LABELS = (FEATURES % 2).astype(np.uint8)


def batches(**changes: Any) -> LongStreamBatches:
    return LongStreamBatches(FEATURES, LABELS, **{"rows": ROWS, "chunk": CHUNK, "seed": 7, **changes})


def groups(found: list[Batch]) -> list[list[Batch]]:
    """The batches of each set of streams that is played side by side."""
    each = FRAMES // CHUNK
    return [found[at : at + each] for at in range(0, len(found), each)]


def test_every_stream_is_played_once_from_one_chunk_to_the_next() -> None:
    epoch = batches()(0)
    found = list(epoch)
    assert len(found) == len(epoch) == (STREAMS // ROWS) * (FRAMES // CHUNK)
    played = [group[0].features[:, 0, 0] for group in groups(found)]
    assert sorted(torch.cat(played).tolist()) == list(range(STREAMS))
    for group in groups(found):
        frames = torch.cat([batch.features[:, :, 1] for batch in group], dim=1)
        assert (frames.diff(dim=1) == 1).all()
        assert all((batch.targets == batch.features % 2).all() for batch in group)
    assert [batch.features.tolist() for batch in batches()(0)] == [batch.features.tolist() for batch in found]
    assert played[0].tolist() != next(iter(batches()(1))).features[:, 0, 0].tolist()


def test_state_is_carried_into_half_of_the_next_streams() -> None:
    """Always reset, a network never lives with a long past; never reset, it does not know a fresh start."""
    first, carried = [], []
    for epoch in range(10):
        for index, group in enumerate(groups(list(batches()(epoch)))):
            begins = [batch.reset for batch in group]
            assert all(each is not None for each in begins)
            (first if index == 0 else carried).append(begins[0])
            assert not torch.stack(begins[1:]).any(), "within a stream the state is carried"
    assert torch.stack(first).all()
    assert 0.4 < torch.stack(carried).float().mean() < 0.6


def test_targets_lag_and_are_mixed_with_those_of_a_teacher() -> None:
    teacher = np.full(LABELS.shape, 0.25, np.float16)
    plain, late = next(iter(batches()(0))), next(iter(batches(delay=2)(0)))
    assert torch.equal(plain.features, late.features)
    assert torch.equal(plain.targets[:, :-2], late.targets[:, 2:])
    taught = next(iter(batches(teacher_targets=teacher, teacher_share=0.4)(0)))
    torch.testing.assert_close(taught.targets, 0.6 * plain.targets + 0.4 * 0.25)


class Louder:
    """Adds a number to each stream."""

    def draw(self, streams: int, rng: np.random.Generator) -> np.ndarray:
        return rng.normal(0, 1, (streams, 1, 1)).astype(np.float32)

    def apply(self, parameters: np.ndarray, features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return features + parameters


def test_augmentation_is_drawn_once_for_each_stream() -> None:
    for epoch in (0, 1):
        found = list(batches(augmentation=Louder())(epoch))
        for group in groups(found):
            added = torch.cat([batch.features for batch in group], dim=1)[:, :, 1]
            fraction = (added - added[:, :1]).round(decimals=3)
            assert torch.equal(fraction, torch.arange(added.shape[1]).expand_as(fraction).float())
            assert len(set(added[:, 0].tolist())) == ROWS, "each stream has its own"


def test_a_curriculum_has_other_streams_for_every_epoch() -> None:
    one, two = batches(), batches(seed=8)
    turns = Curriculum((one, two, one))
    assert [turns(epoch).source for epoch in range(3)] == [one, two, one]
    assert [turns(epoch).epoch for epoch in range(3)] == [0, 1, 2]
