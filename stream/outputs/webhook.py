"""--webhook: every event as a JSON POST, kept on disk until the receiver has taken it."""

from __future__ import annotations

import dataclasses
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from stream.errors import UsageError
from stream.outputs.output import Option, OutputContext
from stream.outputs.output_report import OutputReport
from stream.outputs.queued import Want
from stream.outputs.web_address import check_url, plain, shown_url
from stream.quantities import size_bytes

if TYPE_CHECKING:
    from stream.messages import Chunk, Event, Result, Status

log = logging.getLogger(__name__)

LAST_SECONDS = 0.7  # for what still waits at the end; a queue gives its output one second in all


LEAST_BYTES, MOST_BYTES = 10**5, 10**12  # of a spool


def _checked(url: str) -> str:
    return check_url("--webhook", url)


def _checked_size(text: str) -> str:
    _size(text)
    return text


def _size(text: str) -> int:
    try:
        size = size_bytes(text)
    except ValueError as error:
        raise UsageError(f"--webhook-spool-size {error}") from None
    if not LEAST_BYTES <= size <= MOST_BYTES:
        raise UsageError(f"--webhook-spool-size {text}: must be from 100kB to 1TB")
    return size


class Webhook:
    """Posts the record of each event, as in the JSON lines, to one address.

    An event counts as delivered by this output's queue once it is in the spool; from there a thread posts it, also in
    a later run. Each event has an id that stays the same over all attempts, so that a receiver can drop what it gets
    twice: a crash between its answer and our note of it makes that happen.

    Args:
        context: of the run.
        webhook: the address.
        webhook_onsets: also post when an event begins.
        webhook_secret_file: holds the secret to sign with; None signs nothing.
        webhook_spool: folder of the spool; None is one in the user's folder of states.
        webhook_spool_size: that may wait for this address, such as 64MB; an event takes about 4 kB.

    Raises:
        UsageError: an address or secret that cannot be used.
        OutputError: the spool cannot be written.
    """

    OPTIONS: ClassVar = (
        Option(
            name="webhook",
            metavar="URL",
            help="POST each event as JSON to URL. What cannot be delivered waits on disk, also for the next run.",
            check=_checked,
        ),
        Option(
            name="webhook-onsets",
            type=bool,
            default=False,
            help="Webhooks: also POST when an event begins.",
        ),
        Option(
            name="webhook-secret-file",
            metavar="FILE",
            help="Webhooks: sign each POST with the secret in FILE (HMAC-SHA256, as Standard Webhooks).",
        ),
        Option(
            name="webhook-spool",
            metavar="DIR",
            help="Webhooks: where events wait. Default: in the user's folder of states.",
        ),
        Option(
            name="webhook-spool-size",
            metavar="SIZE",
            help="Webhooks: the most that may wait for one URL; events beyond that are refused and counted.",
            default="64MB",
            check=_checked_size,
        ),
    )
    WANTS: ClassVar[frozenset[Want]] = frozenset({"event"})
    WRITES_SOUND: ClassVar[bool] = False
    holds_up_recordings = True

    def __init__(
        self,
        context: OutputContext,
        *,
        webhook: str,
        webhook_onsets: bool = False,
        webhook_secret_file: str | None = None,
        webhook_spool: str | None = None,
        webhook_spool_size: str = "64MB",
    ) -> None:
        import uuid

        import msgspec

        from stream.installation import state_folder
        from stream.outputs.courier import Courier
        from stream.outputs.post import Poster
        from stream.outputs.signing import read_secret
        from stream.outputs.spool import Spool

        self._name = shown_url(_checked(webhook))
        key = None if webhook_secret_file is None else read_secret(webhook_secret_file)
        if webhook_spool is not None and not webhook_spool.strip():
            raise UsageError(
                "--webhook-spool '': is empty, perhaps an unset variable of the shell; name a folder"
            )
        folder = state_folder() / "webhooks" if webhook_spool is None else Path(webhook_spool)
        self._spool = Spool(folder / _folder_name(webhook), _size(webhook_spool_size))
        self._origin, self._live, self._onsets = context.origin, context.source.live, webhook_onsets
        self._times = context.new_times()
        self._encode = msgspec.json.Encoder().encode
        self._run = uuid.uuid4().hex[:16]
        self._done: set[str] = set()  # of the result at hand, which may come again
        if waiting := len(self._spool):
            full = ", which is full" if self._spool.is_full else ""
            log.warning(
                "webhook %s: %d events of earlier runs wait in %s%s",
                self._name,
                waiting,
                self._spool.folder,
                full,
            )
        self._courier = Courier(self._spool, Poster(webhook), name=self._name, key=key, wall=context.wall)
        self._courier.start()

    @classmethod
    def shown(cls, target: str) -> str:
        """The address without what may be secret."""
        return shown_url(target)

    def chunk(self, chunk: Chunk) -> None:
        """Nothing is sent about sound."""

    def result(self, result: Result) -> None:
        """Put a result's events into the spool.

        Raises:
            TryAgain: it is full, or cannot be written.
        """
        import msgspec

        from stream.outputs.records import event_record
        from stream.printable import printable_json

        if not self._live:
            result = msgspec.structs.replace(result, captured_at=None)
        for event in result.events:
            id = self._id(result, event)
            if id in self._done:
                continue
            began = self._times.onset(event, result)
            if self._onsets or event.offset is not None:
                record = event_record(event, result.stream, self._origin, began)
                self._spool.put(id, printable_json(self._encode(record)))
                self._courier.wake()
            self._done.add(id)
        self._done.clear()

    def status(self, status: Status) -> None:
        """Nothing is sent about the source."""

    def amended(self, report: OutputReport) -> OutputReport:
        """With what the receiver has taken and refused, and what waits for it."""
        courier = self._courier
        return dataclasses.replace(
            report,
            delivered=courier.delivered,
            waiting=report.waiting + len(self._spool),
            errors=report.errors + courier.refused,
            trouble=report.trouble or courier.trouble,
        )

    def hurry(self) -> None:
        """The end has come."""
        self._courier.end(LAST_SECONDS)

    def close(self) -> None:
        """Send what can be sent in a moment, and say what waits. A second call does nothing."""
        self._courier.end(LAST_SECONDS, nothing_more=True)
        self._courier.join(LAST_SECONDS)
        if waiting := len(self._spool):
            log.warning(
                "webhook %s: %d events wait in %s; the next run with this address sends them",
                self._name,
                waiting,
                self._spool.folder,
            )
        if not self._courier.is_alive():
            self._spool.close()

    def _id(self, result: Result, event: Event) -> str:
        """Never the same for two messages, whatever the run, stream and model."""
        import hashlib

        listener = hashlib.sha256(f"{result.stream}\n{result.model}".encode("utf-8", "replace")).hexdigest()[
            :8
        ]
        return f"{self._run}-{listener}-{event.id}-{'onset' if event.offset is None else 'event'}"


def _folder_name(url: str) -> str:
    """The same for the same address, and without its secrets."""
    import hashlib

    parts = urlsplit(url)
    server = re.sub(r"[^a-z0-9.-]", "-", (parts.hostname or "").lower())[:60].strip(".")
    return f"{server}-{hashlib.sha256(plain(parts).encode()).hexdigest()[:12]}"
