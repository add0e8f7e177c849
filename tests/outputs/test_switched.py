"""Groups, schedules and outputs, switched by MQTT while the program runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stream.attaching import attach_outputs
from stream.capture.source import ArraySource
from stream.classifier import StreamClassifier
from stream.decisions.derived import DerivedSpec
from stream.inference.session import Model
from stream.messages import Event, Result
from stream.outputs.acting_rule import ActingRules
from stream.outputs.hours import Schedule
from tests.support.command import wait_for
from tests.support.mosquitto import listening, mosquitto, needs_mosquitto
from tests.support.toy_models import toy_bytes

needs_mosquitto()


def test_what_is_switched_off_by_mqtt_is_not_told(tmp_path: Path) -> None:
    classifier = StreamClassifier(
        Model(toy_bytes()), derived=DerivedSpec(groups={"alarm": ("speech", "music")})
    )
    rules = ActingRules(outputs={"labels": {"schedule": ("always",)}}, schedules={"always": Schedule()})
    silence = classifier.flush()
    path = tmp_path / "told.txt"
    number = 0

    def told(label: str) -> bool:
        nonlocal number
        onset, number = 16000 * number, number + 1
        for offset in (None, onset + 8000):
            event = Event(number, label, onset, offset, 0.9, 0.9, 16000, onset)
            outputs.result(Result(silence.scores, silence.features, (event,), end=onset + 9000))
        reports = outputs.reports
        wait_for(lambda: not any(report.waiting for report in reports()), "the queues")
        return path.read_text().count("\n") > lines

    with mosquitto(tmp_path) as broker, listening(broker) as heard:
        outputs = attach_outputs(
            ArraySource(np.zeros(1), 16000),
            classifier,
            mqtt=broker.url,
            mqtt_node="house",
            labels=str(path),
            acting=rules,
        )
        try:
            lines = 0
            assert told("speech")
            for switch, silenced, others in (
                ("alarm", ["alarm"], ["speech"]),
                ("always", ["alarm", "speech"], []),
                ("labels", ["alarm", "speech"], []),
            ):
                for state, off in (("OFF", True), ("ON", False)):
                    topic = f"house/switch/{switch}"
                    wait_for(lambda topic=topic: heard.last(topic) is not None, "the switch")  # type: ignore[misc]
                    heard.say(f"stream-classify/{topic}/set", state)
                    wait_for(lambda topic=topic, state=state: heard.last(topic) == state, "its new state")  # type: ignore[misc]
                    for label in (*silenced, *others):
                        lines = path.read_text().count("\n")
                        assert told(label) is not (off and label in silenced), (switch, state, label)
        finally:
            outputs.close()
