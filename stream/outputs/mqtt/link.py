"""Link: the connection to the broker, in a thread of its own, made again for as long as it takes."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from stream.errors import OutputError
from stream.installation import install_command
from stream.outputs.mqtt.broker import Broker
from stream.printable import printable

if TYPE_CHECKING:  # an extra, imported when a link is made
    from paho.mqtt.client import Client, MQTTMessage, MQTTMessageInfo

log = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 30  # a broker that is silent for longer is gone
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 1, 30
MOST_UNCONFIRMED = 1000  # events kept while the broker is away
FAREWELL_SECONDS = 0.7  # within the second that an output has at the end
GOODBYE_SECONDS = 0.2
PATIENCE_SECONDS = 0.01  # between two looks
REFUSALS = {
    "Bad user name or password": "user name or password is wrong; see --mqtt-user and --mqtt-password-file",
    "Not authorized": "not authorised; see --mqtt-user and --mqtt-password-file",
}


class Link:
    """A connection that comes back. All methods may be called from any thread, and none waits for the broker.

    Args:
        broker: where, and who we are.
        name: of the client, for the broker.
        will: topic and payload that the broker publishes, retained, when we vanish.
        subscriptions: topics to listen to.
        connected: called when a connection is made, before anything that waited is sent.
        received: called with topic and payload of each message.

    Raises:
        OutputError: paho-mqtt is not installed.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        name: str,
        will: tuple[str, str],
        subscriptions: Sequence[str],
        connected: Callable[[], None],
        received: Callable[[str, bytes], None],
    ) -> None:
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
        except ImportError:
            raise OutputError(
                f"--mqtt needs paho-mqtt 2, which is not installed; run: {install_command('mqtt')}"
            ) from None
        self._errors = MQTTErrorCode
        self._broker, self._will = broker, will
        self._subscriptions = list(subscriptions)
        self._connected, self._received = connected, received
        self._trouble = ""
        self._lock = threading.Lock()  # of what is not confirmed; never held in a call to paho that may wait
        self._unconfirmed: deque[MQTTMessageInfo] = deque()
        self._reported = self._dropped = 0
        self._left = threading.Event()
        # MQTT 3.1.1, which every broker speaks.
        client = Client(CallbackAPIVersion.VERSION2, name)
        client.suppress_exceptions = True  # else one of a callback ends the thread; it is logged
        client.on_log = self._on_log
        client.max_queued_messages_set(MOST_UNCONFIRMED)
        client.reconnect_delay_set(FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS)
        client.will_set(*will, qos=1, retain=True)
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.password)
        if broker.tls is not None:
            client.tls_set_context(broker.tls)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        self._client = client

    def open(self) -> None:
        """Begin to connect. From now on ``connected`` and ``received`` are called."""
        self._client.connect_async(self._broker.host, self._broker.port, KEEP_ALIVE_SECONDS)
        self._client.loop_start()

    @property
    def trouble(self) -> str:
        """Why there is no connection; "" while there is one, or the first is being made."""
        return self._trouble

    @property
    def delivered(self) -> int:
        """Events that the broker confirmed."""
        return self._reported - self._dropped - self.waiting

    @property
    def dropped(self) -> int:
        """Events that were given up."""
        return self._dropped

    @property
    def waiting(self) -> int:
        """Events that the broker has not confirmed yet."""
        with self._lock:
            self._forget_confirmed()
            return sum(not info.is_published() for info in self._unconfirmed)

    def tell(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        """Publish a value that the next one replaces; nothing while there is no connection: see ``connected``."""
        if self._client.is_connected():
            self._client.publish(topic, payload, qos=0, retain=retain)

    def report(self, topic: str, payload: str | bytes) -> None:
        """Publish what must arrive, at least once: kept until the broker confirms it, also while it is away."""
        with self._lock:
            self._reported += 1
        self._send(topic, payload, retain=False)

    def close(self, farewell: Sequence[tuple[str, str]]) -> None:
        """Deliver what waits, publish ``farewell`` (topics and payloads, retained) and leave.

        What is not confirmed in time counts as dropped.
        """
        end = time.monotonic() + FAREWELL_SECONDS
        while not self._client.is_connected() and not self._trouble and time.monotonic() < end:
            time.sleep(PATIENCE_SECONDS)  # a short run, over before the first connection is made
        last_words = (*farewell, self._will) if self._client.is_connected() else ()
        if last_words:
            for topic, payload in last_words:
                self._send(topic, payload, retain=True)
            while self.waiting and self._client.is_connected() and time.monotonic() < end:
                time.sleep(PATIENCE_SECONDS)
        missing = max(0, self.waiting - len(last_words))  # these are behind the events
        self._left.clear()
        self._client.disconnect()  # the thread ends by itself; it may be waiting for a broker that does not answer
        if last_words:
            self._left.wait(GOODBYE_SECONDS)  # else the broker takes us for lost, and publishes the will
        with self._lock:
            self._dropped += missing
            self._unconfirmed.clear()
        if missing:
            log.warning("mqtt: %d events were not delivered: %s", missing, self._trouble or "no answer")

    def _send(self, topic: str, payload: str | bytes, *, retain: bool) -> None:
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        with self._lock:
            if info.rc == self._errors.MQTT_ERR_QUEUE_SIZE:
                if not self._dropped:
                    log.warning(
                        "mqtt: %d events wait for the broker; later ones are dropped", MOST_UNCONFIRMED
                    )
                self._dropped += 1
                return
            info.rc = (
                self._errors.MQTT_ERR_SUCCESS
            )  # without a connection it is kept, and sent with the next one
            self._forget_confirmed()
            self._unconfirmed.append(info)

    def _forget_confirmed(self) -> None:
        """Keep only what may still fail. The lock is held."""
        while self._unconfirmed and self._unconfirmed[0].is_published():
            self._unconfirmed.popleft()

    def _on_connect(self, client: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._complain(REFUSALS.get(str(reason), str(reason).lower()))
            return
        if self._trouble:
            log.info("mqtt: connected to %s", self._broker.host)
        self._trouble = ""
        if self._subscriptions:
            client.subscribe([(topic, 1) for topic in self._subscriptions])
        self._connected()

    def _on_connect_fail(self, client: Client, data: Any) -> None:
        self._complain(_reason(sys.exc_info()[1]))  # called while the error is being handled

    def _on_disconnect(self, client: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._left.set()
        if reason.is_failure and not self._trouble:
            self._complain("the connection broke")

    def _on_message(self, client: Client, data: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        self._received(topic, bytes(message.payload))

    def _on_subscribe(self, client: Client, data: Any, mid: int, reasons: Any, properties: Any) -> None:
        for topic, reason in zip(self._subscriptions, reasons, strict=False):
            if reason.is_failure:
                log.warning("mqtt: the broker does not let us listen to %s", printable(topic))

    def _on_log(self, client: Client, data: Any, level: int, text: str) -> None:
        if text.startswith("Caught exception"):
            log.error("mqtt: %s", printable(text))

    def _complain(self, reason: str) -> None:
        text = printable(f"{self._broker.host}:{self._broker.port}: {reason}")
        if text != self._trouble:
            log.warning("mqtt: %s; it will be tried again", text)
        self._trouble = text


def _reason(error: BaseException | None) -> str:
    """Why a connection could not be made, in a few words."""
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({error.verify_message}); see --mqtt-ca"
    if isinstance(error, ssl.SSLError):
        return f"no TLS connection ({(error.reason or 'unknown').replace('_', ' ').lower()})"
    if isinstance(error, TimeoutError):
        return "no answer"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
