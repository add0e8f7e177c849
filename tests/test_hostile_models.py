"""Model files and cards made to hurt: every one is refused with one of our errors, or works."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.errors import StreamClassifyError
from stream.inference.card import ModelCard
from stream.inference.onnx_file import scan
from tests.hostile import damaged_bytes, damaged_graph, damaged_text, try_in_child
from tests.toy_models import toy_bytes, toy_card

CASES = int(os.environ.get("STREAM_CLASSIFY_FUZZ", "300"))


def refused(job: Callable[[], object]) -> bool:
    """Whether it was refused, in one line; any other error comes through."""
    try:
        job()
        return False
    except StreamClassifyError as error:
        message = str(error)
    assert "\n" not in message
    return True


def look_into(data: bytes) -> ModelCard:
    return ModelCard.from_metadata(scan(data, "hostile"))


@settings(max_examples=CASES, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=400))
def test_any_bytes_as_a_model(data: bytes) -> None:
    refused(lambda: look_into(data))


@settings(max_examples=CASES, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**63))
def test_damaged_model_files(seed: int) -> None:
    data = damaged_bytes(toy_bytes(), np.random.default_rng(seed))
    refused(lambda: look_into(data))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=CASES, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([*ModelCard.__struct_fields__]), JSON)
def test_a_card_with_any_value_anywhere(field: str, value: object) -> None:
    text = json.dumps(json.loads(toy_card().to_json()) | {field: value})
    if not refused(lambda: ModelCard.from_json(text)):
        for state in ModelCard.from_json(text).states:
            state.initial(2)


def test_onnx_runtime_survives_damaged_files(tmp_path: Path) -> None:
    """A third each: damaged bytes, damaged graphs in sound files, damaged cards over a sound graph."""
    rng = np.random.default_rng(1)
    whole, text = toy_bytes(), toy_card().to_json()
    left = max(3, CASES)
    while left > 0:
        cases = []
        for _ in range(min(left, 3000) // 3 + 1):
            cases += [
                damaged_bytes(whole, rng),
                damaged_graph(whole, rng),
                toy_bytes(damaged_text(text, rng)),
            ]
        assert list(try_in_child(cases, tmp_path)) == []
        left -= len(cases)
