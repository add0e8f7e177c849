"""The JSON Schema: it describes what is really written, and a program that trusts it is right to."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from stream.capture.simulate import SimulatedSource
from stream.classifier import StreamClassifier
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.inference.session import Model
from stream.outputs.jsonl import JsonLines
from stream.outputs.records import Origin
from stream.outputs.schema import json_schema
from stream.runner import run
from tests.support.toy_models import toy_bytes, toy_card

SCRIPT = "noise?length=4s&seed=5&unplug@1s&for=2s&nan@3500ms&for=100ms"


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """All types of lines, of two classifiers, written by a real run."""
    path = tmp_path_factory.mktemp("schema") / "out.jsonl"
    models = [Model(toy_bytes()), Model(toy_bytes(toy_card(name="second")))]
    origins = {m.id: Origin("sim", m.card.name, m.sha256) for m in models}
    rules = DetectorSpec(default=ClassRule(threshold=0.3, min_on=0.03, min_off=0.05))
    classifiers = [StreamClassifier(m, rules, stream=f"stream {i}") for i, m in enumerate(models)]
    run(SimulatedSource(SCRIPT), classifiers, [JsonLines(path, origins, onsets=True, scores=True)])
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_it_is_a_schema() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    json.dumps(schema)
    for name, definition in schema["$defs"].items():
        assert definition["description"], name
        assert set(definition["required"]) == set(definition["properties"]), name


def test_every_line_that_is_written_is_valid_and_has_just_the_fields_that_are_described(
    records: list[dict[str, Any]],
) -> None:
    schema = json_schema()
    validator = jsonschema.Draft202012Validator(schema)
    fields = {
        definition["properties"]["type"]["enum"][0]: set(definition["properties"])
        for definition in schema["$defs"].values()
    }
    assert {r["type"] for r in records} == set(fields) == {"onset", "event", "gap", "status", "scores"}
    for record in records:
        validator.validate(record)
        assert set(record) == fields[record["type"]]


def test_lines_tell_streams_and_models_apart(records: list[dict[str, Any]]) -> None:
    for kind in ("event", "onset", "gap", "scores"):
        signed = {(r["stream"], r["model"]) for r in records if r["type"] == kind}
        assert signed == {("stream 0", "toy"), ("stream 1", "second")}, kind


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r: r.pop("label"),
        lambda r: r.update(schema=2),
        lambda r: r.update(onset="1.0"),
        lambda r: r.update(type="telegram"),
        lambda r: r.update(id=-1),
        lambda r: r.update(t_wall=12.5),
    ],
)
def test_a_record_that_is_wrong_is_not_valid(
    records: list[dict[str, Any]], spoil: Callable[[dict[str, Any]], object]
) -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    record = dict(next(r for r in records if r["type"] == "event"))
    validator.validate(record)
    spoil(record)
    assert not validator.is_valid(record)
