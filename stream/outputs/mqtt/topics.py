"""Topics: where in the broker's tree things stand, with names that are safe for any label."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from stream.errors import UsageError
from stream.printable import unicode_text

LONGEST_TOPIC_BYTES = 200
LONGEST_ID = 48  # characters


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one node, all below ``base/node``.

    Attributes:
        base: what all nodes share.
        node: this one, an identifier.
    """

    base: str
    node: str

    @property
    def root(self) -> str:
        return f"{self.base}/{self.node}"

    @property
    def availability(self) -> str:
        """ "online" or "offline", retained."""
        return f"{self.root}/status"

    @property
    def event(self) -> str:
        """Each complete event, as the JSON lines have it."""
        return f"{self.root}/event"

    @property
    def source(self) -> str:
        """What the source is doing, as the JSON lines have it, retained."""
        return f"{self.root}/source"

    @property
    def state(self) -> str:
        """Probabilities and level, now and then."""
        return f"{self.root}/state"

    def sound(self, identifier: str) -> str:
        """Whether a class is on: "ON" or "OFF", retained."""
        return f"{self.root}/sound/{identifier}"

    def switch(self, identifier: str) -> str:
        """Whether a switch is on, retained. Its commands are at ``/set`` below."""
        return f"{self.root}/switch/{identifier}"


def identifier(text: str) -> str:
    """``text`` in lower-case letters, digits, hyphens and underscores: safe in topics and in Home Assistant's ids."""
    plain = unicodedata.normalize("NFKD", unicode_text(text).casefold()).encode("ascii", "ignore").decode()
    short = re.sub(r"[^a-z0-9_-]+", "_", plain).strip("_")[:LONGEST_ID]
    return short or _digest(text)


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """An identifier for each name. Names whose identifiers would be the same get a digest behind them."""
    first = {name: identifier(name) for name in names}
    taken = list(first.values())
    return {
        name: short if taken.count(short) == 1 else f"{short}_{_digest(name)}"
        for name, short in first.items()
    }


def check_topic(option: str, topic: str) -> str:
    """A topic that can be published to.

    Raises:
        UsageError: it is none. The message names ``option``.
    """
    if (
        not all(topic.split("/"))
        or re.search(r"[#+\x00]", topic)
        or topic.startswith("$")
        or not topic.isprintable()
        or len(topic.encode("utf-8", "surrogateescape")) > LONGEST_TOPIC_BYTES
    ):
        raise UsageError(
            f"--{option} {topic!r}: is no topic to publish to; want words with / between them, without # and +"
        )
    return topic


def _digest(text: str) -> str:
    import hashlib

    return hashlib.sha256(unicode_text(text).encode()).hexdigest()[:8]
