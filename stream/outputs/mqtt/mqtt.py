"""Mqtt: what is heard, to a broker and to Home Assistant; and switches from there."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar

from stream.errors import UsageError
from stream.outputs.mqtt.broker import check_url, find_broker
from stream.outputs.mqtt.discovery import configuration, device_id
from stream.outputs.mqtt.level import LEVEL_SECONDS, level_dbfs
from stream.outputs.mqtt.link import Link
from stream.outputs.mqtt.topics import Topics, check_topic, identifier, identifiers
from stream.outputs.output import Option, OutputContext
from stream.outputs.output_report import OutputReport
from stream.outputs.queued import Want

if TYPE_CHECKING:
    from stream.messages import Chunk, Result, Status

LONGEST_INTERVAL_SECONDS = 3600.0
ON, OFF = "ON", "OFF"


class Mqtt:
    """Publishes events, which classes are on, probabilities and level; see `Topics`. An output.

    Events are published with QoS 1 and kept while the broker is away. All else is the present state of things: it is
    published while there is a connection, and as a whole whenever a new one is made.

    Args:
        context: of the run.
        mqtt: address of the broker.
        mqtt_topic, mqtt_node: everything is published below TOPIC/NODE; None = a node named by machine and source.
        mqtt_discovery: Home Assistant's prefix, or "none".
        mqtt_interval: seconds between probabilities.
        mqtt_user, mqtt_password_file, mqtt_ca, mqtt_cert, mqtt_key: see `find_broker`.

    Raises:
        UsageError, OutputError: as `find_broker` and `Link` say.
    """

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option(
            name="mqtt",
            metavar="URL",
            help="Publish what is heard to an MQTT broker, and let Home Assistant find it: mqtt://HOST, "
            "mqtts://USER@HOST:PORT.",
            check=check_url,
        ),
        Option(name="mqtt-user", metavar="NAME", help="User, where the address does not say it."),
        Option(
            name="mqtt-password-file", metavar="FILE", help="File whose first line is the user's password."
        ),
        Option(
            name="mqtt-ca",
            metavar="FILE",
            help="Certificates (PEM) that vouch for an mqtts:// broker. Default: the system's.",
        ),
        Option(
            name="mqtt-cert", metavar="FILE", help="Our certificate (PEM), for a broker that asks for one."
        ),
        Option(name="mqtt-key", metavar="FILE", help="Its key, where that is a file of its own."),
        Option(
            name="mqtt-topic",
            metavar="TOPIC",
            default="stream-classify",
            help="Everything is published below TOPIC/NODE.",
            check=lambda topic: check_topic("mqtt-topic", topic),
        ),
        Option(
            name="mqtt-node",
            metavar="NAME",
            help="Name of this listener. Default: that of the machine and the source.",
        ),
        Option(
            name="mqtt-discovery",
            metavar="PREFIX|none",
            default="homeassistant",
            help="Home Assistant's prefix for discovery.",
            check=lambda topic: check_topic("mqtt-discovery", topic),
        ),
        Option(
            name="mqtt-interval",
            metavar="S",
            type=float,
            default=1.0,
            low=0.1,
            high=LONGEST_INTERVAL_SECONDS,
            help="Seconds between two messages with probabilities and level.",
        ),
    )
    WANTS: ClassVar[frozenset[Want]] = frozenset({"result", "status"})
    WRITES_SOUND = False
    history_seconds = LEVEL_SECONDS

    def __init__(
        self,
        context: OutputContext,
        *,
        mqtt: str,
        mqtt_user: str | None = None,
        mqtt_password_file: str | None = None,
        mqtt_ca: str | None = None,
        mqtt_cert: str | None = None,
        mqtt_key: str | None = None,
        mqtt_topic: str = "stream-classify",
        mqtt_node: str | None = None,
        mqtt_discovery: str = "homeassistant",
        mqtt_interval: float = 1.0,
    ) -> None:
        import hashlib
        import socket

        import msgspec

        broker = find_broker(
            mqtt,
            user=mqtt_user,
            password_file=mqtt_password_file,
            authorities=mqtt_ca,
            certificate=mqtt_cert,
            key=mqtt_key,
        )
        if mqtt_node is not None and not mqtt_node.strip():
            raise UsageError("--mqtt-node: is empty; want a name, or leave it out")
        source = context.source.name
        self._name = mqtt_node or source
        node = (
            identifier(mqtt_node) if mqtt_node else f"{identifier(socket.gethostname())}-{identifier(source)}"
        )
        self._topics = Topics(check_topic("mqtt-topic", mqtt_topic), node)
        self._prefix = None if mqtt_discovery == "none" else check_topic("mqtt-discovery", mqtt_discovery)
        self._context = context
        self._interval = mqtt_interval
        self._closed = False
        self._times = context.new_times()
        self._encode = msgspec.json.Encoder().encode
        enabled = [label for label in context.labels if context.detector.rule(label).enabled]
        self._sounds = identifiers(enabled)
        self._switches = identifiers(context.switches.names)
        self._commands = {f"{self._topics.switch(short)}/set": name for name, short in self._switches.items()}
        # What is so now. The lock keeps what is published in the order of what happened.
        self._on = dict.fromkeys(self._sounds, False)
        self._source: bytes | None = None
        self._lock = threading.Lock()
        self._highest: Any = None  # (C,) float32, since the last message
        self._told_at: float | None = None
        subscriptions = [f"{self._topics.switch('+')}/set"] if self._switches else []
        if self._prefix is not None:
            subscriptions.append(f"{self._prefix}/status")
        # The broker knows a listener by its name: a link that comes back replaces the one that broke.
        known_as = hashlib.sha256(self._topics.root.encode()).hexdigest()[:7]
        self._link = Link(
            broker,
            name=f"stream-classify-{known_as}",  # 23 characters, which every broker takes
            will=(self._topics.availability, "offline"),
            subscriptions=subscriptions,
            connected=self._tell_everything,
            received=self._receive,
        )
        context.switches.watch(self._switched)
        self._link.open()

    def chunk(self, chunk: Chunk) -> None:
        """See Sink."""

    def result(self, result: Result) -> None:
        """Publish its events, and probabilities and level when it is time."""
        if result.events:
            self._take_events(result)
        if len(result.scores):
            self._take_scores(result)

    def status(self, status: Status) -> None:
        """Publish what the source is doing."""
        from stream.outputs.records import status_record

        wall = self._times.of(status.captured_at if self._context.source.live else None)
        with self._lock:
            self._source = self._encode(status_record(status, self._context.origin, wall))
            self._link.tell(self._topics.source, self._source, retain=True)

    def close(self) -> None:
        """Deliver what waits, and say that all is off and nobody listens. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        with self._lock:
            farewell = [
                (self._topics.sound(self._sounds[label]), OFF) for label, on in self._on.items() if on
            ]
            self._on = dict.fromkeys(self._on, False)
        self._link.close(farewell)

    def amended(self, report: OutputReport) -> OutputReport:
        """The report with the events that the broker has, or has not yet, and why."""
        from dataclasses import replace

        return replace(
            report,
            delivered=self._link.delivered,
            waiting=report.waiting + self._link.waiting,
            dropped=report.dropped + self._link.dropped,
            trouble=report.trouble or self._link.trouble,
        )

    def _take_events(self, result: Result) -> None:
        import msgspec

        from stream.outputs.records import result_records
        from stream.outputs.schema import EventRecord, OnsetRecord
        from stream.printable import printable_json

        if not self._context.source.live:
            result = msgspec.structs.replace(result, captured_at=None)
        for record in result_records(result, self._context.origin, self._times, onsets=True, scores=False):
            if isinstance(record, (OnsetRecord, EventRecord)):
                self._turn(record.label, isinstance(record, OnsetRecord))
            if isinstance(record, EventRecord):
                self._link.report(self._topics.event, printable_json(self._encode(record)))

    def _turn(self, label: str, on: bool) -> None:
        with self._lock:
            if label not in self._sounds:  # no class of the model: a group, or one that the program adds
                self._sounds = identifiers([*self._sounds, label])
                self._tell_configuration()
            self._on[label] = on
            self._link.tell(self._topics.sound(self._sounds[label]), ON if on else OFF, retain=True)

    def _take_scores(self, result: Result) -> None:
        import numpy as np

        highest = result.scores.probs.max(axis=0)
        self._highest = highest if self._highest is None else np.maximum(self._highest, highest)
        now = self._context.monotonic()
        if self._told_at is not None and now - self._told_at < self._interval:
            return
        self._told_at = now
        by_label = dict(zip(result.labels, self._highest.tolist(), strict=True))
        self._highest = None
        state = {
            "level_dbfs": level_dbfs(result.sound),
            "probability": {
                short: round(by_label[label], 4) for label, short in self._sounds.items() if label in by_label
            },
        }
        self._link.tell(self._topics.state, self._encode(state))

    def _tell_everything(self) -> None:
        """After a connection is made, and when Home Assistant starts. In the link's thread."""
        with self._lock:
            self._tell_configuration()
            self._link.tell(self._topics.availability, "online", retain=True)
            for label, on in self._on.items():
                self._link.tell(self._topics.sound(self._sounds[label]), ON if on else OFF, retain=True)
            for name in self._switches:
                self._tell_switch(name)
            if self._source is not None:
                self._link.tell(self._topics.source, self._source, retain=True)

    def _tell_configuration(self) -> None:
        if self._prefix is None:
            return
        payload = configuration(
            self._topics,
            name=self._name,
            model=self._context.origin.model,
            sounds=self._sounds,
            switches=self._switches,
            interval_seconds=self._interval,
        )
        topic = f"{self._prefix}/device/{device_id(self._topics)}/config"
        self._link.tell(topic, self._encode(payload), retain=True)

    def _tell_switch(self, name: str) -> None:
        on = self._context.switches.is_on(name)
        self._link.tell(self._topics.switch(self._switches[name]), ON if on else OFF, retain=True)

    def _switched(self, name: str, on: bool) -> None:
        """Somebody turned a switch, in whatever thread."""
        if name in self._switches:
            with self._lock:
                self._tell_switch(name)

    def _receive(self, topic: str, payload: bytes) -> None:
        """A message from the broker, in the link's thread."""
        word = payload.strip().upper()
        if self._prefix is not None and topic == f"{self._prefix}/status":
            if word == b"ONLINE":
                self._tell_everything()
        elif topic in self._commands and word in (b"ON", b"OFF"):
            self._context.switches.set(self._commands[topic], word == b"ON")
