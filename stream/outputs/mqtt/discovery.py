"""Discovery: how Home Assistant learns what there is, one message for the device and everything on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stream._version import __version__
from stream.outputs.mqtt.topics import Topics, identifier

PROBABILITY_EXPIRES_SECONDS = 60  # without news, at least
Component = dict[str, Any]


def device_id(topics: Topics) -> str:
    """The device's identifier: part of the topic of its configuration, and of the ids of all that is on it."""
    return f"{identifier(topics.base)}_{topics.node}"


def configuration(
    topics: Topics,
    *,
    name: str,
    model: str,
    sounds: Mapping[str, str],
    switches: Mapping[str, str],
    interval_seconds: float,
) -> dict[str, Any]:
    """The payload of ``PREFIX/device/ID/config``, in the form that describes a whole device.

    Args:
        topics: of this node.
        name: of the device, for people.
        model: name of the model that listens.
        sounds, switches: label or name -> identifier.
        interval_seconds: between two states.
    """
    device = device_id(topics)
    parts: dict[str, Component] = {
        "event": {
            "p": "event",
            "name": "Event",
            "event_types": list(sounds),
            "state_topic": topics.event,
            "value_template": "{{ dict(value_json, event_type=value_json['label']) | to_json }}",
            "qos": 1,
            "icon": "mdi:ear-hearing",
        },
        "level": {
            "p": "sensor",
            "name": "Level",
            "state_topic": topics.state,
            "value_template": "{{ value_json['level_dbfs'] }}",
            "unit_of_measurement": "dBFS",
            "state_class": "measurement",
            "icon": "mdi:volume-high",
        },
        "source": {
            "p": "sensor",
            "name": "Source",
            "state_topic": topics.source,
            "value_template": "{{ value_json['state'] }}",
            "json_attributes_topic": topics.source,
            "entity_category": "diagnostic",
            "icon": "mdi:microphone",
        },
    }
    for label, short in sounds.items():
        parts[f"sound_{short}"] = {
            "p": "binary_sensor",
            "name": label,
            "device_class": "sound",
            "state_topic": topics.sound(short),
        }
        parts[f"probability_{short}"] = {
            "p": "sensor",
            "name": f"{label} probability",
            "state_topic": topics.state,
            "value_template": f"{{{{ (value_json['probability']['{short}'] * 100) | round(1) }}}}",
            "unit_of_measurement": "%",
            "state_class": "measurement",
            "icon": "mdi:percent",
        }
    for switch, short in switches.items():
        parts[f"switch_{short}"] = {
            "p": "switch",
            "name": switch,
            "state_topic": topics.switch(short),
            "command_topic": f"{topics.switch(short)}/set",
        }
    expires = max(PROBABILITY_EXPIRES_SECONDS, round(10 * interval_seconds))
    for key, part in parts.items():
        part["unique_id"] = f"{device}_{key}"
        if part["state_topic"] == topics.state:
            part["expire_after"] = expires
    return {
        "dev": {
            "ids": [device],
            "name": name,
            "mf": "stream-classify",
            "mdl": model,
            "sw": __version__,
        },
        "o": {"name": "stream-classify", "sw": __version__},
        "cmps": parts,
        "availability_topic": topics.availability,
    }
