"""The parts of teach: the head, its thresholds, and fronts of others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.teaching.examples import Example
from export.teaching.folder import keep, new_examples
from export.teaching.head import Head, Scale, fit_logistic
from export.teaching.judging import Judged
from export.teaching.learning import Trial
from export.teaching.others import SPEECH_WIDTH, speech_embedding
from export.teaching.threshold import FURTHEST, Tail, held
from stream.errors import ModelError


def test_the_logistic_regression_is_where_its_slope_is_zero() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 5)).astype(np.float32)
    y = (x[:, :1] + 0.5 * rng.normal(size=(400, 1)) > 0.5).astype(np.float32)
    weight = np.full((400, 1), 1 / 400, np.float32)
    weights, bias = fit_logistic(x, y, weight, penalty=0.01)
    error = weight * (1 / (1 + np.exp(-(x @ weights + bias))) - y)
    assert np.abs(x.T @ error + 2 * 0.01 * weights).max() < 2e-3
    assert abs(float(error.sum())) < 2e-3
    assert weights[0, 0] > 1 > np.abs(weights[1:]).max()


def test_a_head_on_rows_equals_the_regression_on_scaled_moments() -> None:
    rng = np.random.default_rng(1)
    rows = (rng.normal(size=(80, 6)) * [1, 2, 3, 4, 5, 6] + 7).astype(np.float32)
    scale, delays = Scale.of(rows), (0, 3)
    weights, bias = rng.normal(size=(12, 2)).astype(np.float32), np.array([0.3, -1], np.float32)
    head = scale.head(weights, bias, delays)
    at = np.arange(3, 80)
    wanted = scale.moments(rows, at, delays) @ weights + bias
    np.testing.assert_allclose(head.logits(rows)[3:], wanted, atol=1e-3)
    assert isinstance(head, Head)


def test_a_level_that_is_held_is_the_least_of_the_last_rows() -> None:
    logits = np.array([[0], [5], [5], [5], [1], [5]], np.float32)
    assert held(logits, rate=50)[:, 0].tolist() == [0, 0, 0, 5, 1, 1]


def test_a_tail_says_how_rare_a_level_is() -> None:
    rng = np.random.default_rng(2)
    rate, hours = 10.0, 2.0
    values = -np.log(rng.uniform(size=round(hours * 3600 * rate))).astype(
        np.float32
    )  # above t: exp(-t) of them
    tail = Tail.of([values], rate)
    threshold = tail.threshold(0.05)
    true = 3600 * rate * np.exp(-threshold)
    assert 0.005 < true < 0.5
    assert tail.rate(threshold) <= 0.06
    assert tail.count(threshold) == 0
    assert tail.rate(tail.peaks[3]) >= 4 / hours
    assert tail.rate(1000.0) == pytest.approx(1 / (FURTHEST * hours))  # what so many hours can say at most


def test_another_network_is_no_speech_embedding() -> None:
    kernel = numpy_helper.from_array(np.zeros((8, 1, 3, 3), np.float32), "w")
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"])], "g", [value], [value], [kernel])
    assert SPEECH_WIDTH == 96
    with pytest.raises(ModelError, match="is not Google's speech embedding"):
        speech_embedding(helper.make_model(graph).SerializeToString(), "file.onnx")
    assert onnx.checker is not None


def test_two_sounds_are_alike_where_one_means_the_other_as_much() -> None:
    rng = np.random.default_rng(4)
    peaks = rng.normal(-1, 1, (300, 3)).astype(np.float32)  # sounds 0 and 1 are one; neither is sure of it
    sound = np.repeat([0, 1, 2], 100)
    peaks[sound == 2] += [-9, -9, 9]
    trial = Trial(peaks, sound)
    judged = Judged(Head((0,), np.zeros((1, 1, 3)), np.zeros(3)), [], np.zeros(3, np.float32), trial)
    assert judged.alike(0, 1) == pytest.approx(0.5, abs=0.15)
    assert judged.alike(1, 0) == pytest.approx(0.5, abs=0.15)
    assert judged.alike(0, 2) == judged.alike(2, 0) == 0


def test_the_same_example_is_new_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    one, two = (Example(name, rng.normal(0, 0.1, 800).astype(np.float32)) for name in ("one", "two"))
    again = Example("again", one.samples.copy())
    assert new_examples(tmp_path, "dog", [one, two, again]) == [one, two]
    keep(tmp_path, "dog", [one], 16_000)
    assert new_examples(tmp_path, "dog", [again, two]) == [two]
    assert new_examples(None, "dog", [again, two]) == [again, two]
    assert new_examples(tmp_path, "cat", [one]) == [one]
