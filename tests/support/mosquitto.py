"""A real Mosquitto on a port of its own, and a client that collects what it hears."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support.command import DEADLINE_SECONDS, wait_for

HOST = "127.0.0.1"


def needs_mosquitto() -> None:
    """Skip the calling test file where there is no broker."""
    for program in ("mosquitto", "mosquitto_passwd", "mosquitto_sub"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program}: apt-get install mosquitto mosquitto-clients", allow_module_level=True)
    pytest.importorskip("paho.mqtt", reason="pip install '.[mqtt]'")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection((HOST, port), 1.0).close()
    except OSError:
        return False
    return True


class Mosquitto:
    """A broker that can be stopped and started again; what is retained survives.

    Args:
        folder: for its files.
        settings: lines of its configuration.
        users: name -> password; without any, everybody may come in.
    """

    def __init__(self, folder: Path, *settings: str, users: dict[str, str] | None = None) -> None:
        self.port = free_port()
        lines = [f"listener {self.port} {HOST}", *settings]
        lines += ["persistence true", f"persistence_location {folder}/", "user root"]
        if users:
            passwords = folder / "passwords"
            passwords.touch(0o600)
            for user in users.items():
                command = ["mosquitto_passwd", "-b", str(passwords), *user]
                subprocess.run(command, check=True, timeout=DEADLINE_SECONDS)
            lines += ["allow_anonymous false", f"password_file {passwords}"]
        else:
            lines += ["allow_anonymous true"]
        self._file = folder / "mosquitto.conf"
        self._file.write_text("\n".join(lines) + "\n")
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://{HOST}:{self.port}"

    def start(self) -> None:
        self._child = subprocess.Popen(
            ["mosquitto", "-c", str(self._file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(lambda: answers(self.port), "mosquitto", self._child)

    def stop(self) -> None:
        if self._child is not None:
            self._child.terminate()
            self._child.wait(DEADLINE_SECONDS)
            self._child = None


@contextmanager
def mosquitto(folder: Path, *settings: str, users: dict[str, str] | None = None) -> Iterator[Mosquitto]:
    """A running broker, gone behind the block."""
    broker = Mosquitto(folder, *settings, users=users)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


class Listener:
    """Hears everything on the broker at a port, from the retained messages on."""

    def __init__(self, port: int) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.messages: list[tuple[str, str, bool]] = []  # topic, payload, whether it was retained
        self._ready = False
        # A session that lasts: what comes while the listener has not found the broker again is kept for it.
        self._client = Client(CallbackAPIVersion.VERSION2, uuid4().hex, clean_session=False)
        self._client.reconnect_delay_set(0.05, 0.2)  # type: ignore[arg-type]
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._message
        self._client.connect(HOST, port)
        self._client.loop_start()
        wait_for(lambda: self._ready, "a subscription")

    def _subscribed(self, *_: Any) -> None:
        self._ready = True

    def _message(self, client: Any, data: Any, message: Any) -> None:
        self.messages.append((message.topic, message.payload.decode(), message.retain))

    def of(self, end: str) -> list[str]:
        """Payloads of the topics that end like this, in order."""
        return [payload for topic, payload, _ in list(self.messages) if topic.endswith(end)]

    def last(self, end: str) -> str:
        """The newest of them; "" without any."""
        return (self.of(end) or [""])[-1]

    def say(self, topic: str, payload: str, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, 1, retain).wait_for_publish(DEADLINE_SECONDS)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def listening(broker: Mosquitto) -> Iterator[Listener]:
    listener = Listener(broker.port)
    try:
        yield listener
    finally:
        listener.close()
