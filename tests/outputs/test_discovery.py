"""Home Assistant's configuration: only keys that its documentation has, ids that differ, templates that work."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from stream.outputs.mqtt.discovery import configuration, device_id
from stream.outputs.mqtt.topics import Topics, identifiers

# From home-assistant.io/integrations/mqtt and the pages of the four platforms: what must be there, and what may. The
# abbreviations are those that the documentation lists.
COMMON = {
    "p",
    "name",
    "unique_id",
    "state_topic",
    "icon",
    "qos",
    "entity_category",
    "value_template",
    "device_class",
}
PLATFORMS: dict[str, tuple[set[str], set[str]]] = {
    "event": ({"event_types", "state_topic"}, set()),
    "binary_sensor": ({"state_topic"}, {"expire_after", "payload_on", "payload_off"}),
    "sensor": (
        {"state_topic"},
        {
            "expire_after",
            "state_class",
            "unit_of_measurement",
            "json_attributes_topic",
            "suggested_display_precision",
        },
    ),
    "switch": ({"command_topic"}, {"payload_on", "payload_off", "retain"}),
}
DEVICE = {"ids", "cns", "name", "mf", "mdl", "mdl_id", "sw", "hw", "sn", "sa", "cu"}
SHARED = {"dev", "o", "cmps", "availability_topic", "state_topic", "command_topic", "qos", "encoding"}
LABELS = ["speech", "a/b #+", "犬", "sound_speech", 'it\'s "{{ 1 }}"', "switch_speech", "Speech"]


@pytest.fixture(scope="module")
def payload() -> dict[str, Any]:
    made = configuration(
        Topics("house/ears", "kitchen"),
        name="USB mic",
        model="default",
        sounds=identifiers(LABELS),
        switches=identifiers(["speech", "night time"]),
        interval_seconds=1.0,
    )
    decoded: dict[str, Any] = json.loads(json.dumps(made))
    return decoded


def test_it_has_the_form_of_a_device(payload: dict[str, Any]) -> None:
    assert {"dev", "o", "cmps"} <= set(payload) <= SHARED
    assert set(payload["dev"]) <= DEVICE
    assert payload["dev"]["ids"]
    assert payload["o"]["name"]
    assert set(payload["o"]) <= {"name", "sw", "url"}
    assert re.fullmatch("[a-zA-Z0-9_-]+", device_id(Topics("house/ears", "kitchen")))


def test_every_part_has_the_keys_of_its_platform(payload: dict[str, Any]) -> None:
    for name, part in payload["cmps"].items():
        needed, more = PLATFORMS[part["p"]]
        assert needed | {"p", "unique_id"} <= set(part) <= COMMON | needed | more, name
        for key, value in part.items():
            if key.endswith("_topic"):
                assert re.fullmatch(r"house/ears/kitchen/[a-z0-9_/-]+", value)
    kinds = [part["p"] for part in payload["cmps"].values()]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "event": 1,
        "sensor": 2 + len(LABELS),
        "binary_sensor": len(LABELS),
        "switch": 2,
    }
    assert payload["cmps"]["event"]["event_types"] == LABELS
    assert {p["device_class"] for p in payload["cmps"].values() if p["p"] == "binary_sensor"} == {"sound"}
    # A sensor with a device class would have to have a unit of it; dBFS is none of sound pressure.
    assert not any("device_class" in p for p in payload["cmps"].values() if p["p"] == "sensor")


def test_ids_differ(payload: dict[str, Any]) -> None:
    ids = [part["unique_id"] for part in payload["cmps"].values()]
    assert len(set(ids)) == len(ids) == 2 * len(LABELS) + 5
    assert all(re.fullmatch("[a-zA-Z0-9_-]+", each) for each in ids)


def test_templates_give_what_is_shown(payload: dict[str, Any]) -> None:
    sandbox = pytest.importorskip("jinja2.sandbox")
    environment = sandbox.ImmutableSandboxedEnvironment()
    environment.filters["to_json"] = json.dumps

    def render(part: str, message: dict[str, Any]) -> str:
        return str(
            environment.from_string(payload["cmps"][part]["value_template"]).render(value_json=message)
        )

    for label in LABELS:
        record = {"type": "event", "label": label, "peak": 0.9}
        assert json.loads(render("event", record)) == record | {"event_type": label}
    probability = {short: i / 10 for i, short in enumerate(identifiers(LABELS).values())}
    state = {"level_dbfs": -43.2, "probability": probability}
    for i, short in enumerate(identifiers(LABELS).values()):
        assert float(render(f"probability_{short}", state)) == 10 * i
    assert render("level", state) == "-43.2"
    assert render("level", state | {"level_dbfs": None}) == "None"  # which Home Assistant knows as unknown
    assert render("source", {"state": "silent"}) == "silent"
