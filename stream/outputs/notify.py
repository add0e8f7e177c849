"""--notify: every event as a message to a person, by any service that Apprise knows, with the clip where possible."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

from stream.errors import OutputError, TryAgain, UsageError
from stream.outputs.output import Option, OutputContext
from stream.outputs.output_report import OutputReport
from stream.outputs.queued import Want

if TYPE_CHECKING:
    from pathlib import Path

    from stream.messages import Chunk, Event, Result, Status

log = logging.getLogger(__name__)

CLIP_SECONDS = 5.0  # that a message waits for the clip of its event
MOST_TRIES = 6  # half a minute with the pauses between them; later news is no news
TRIES_WITH_CLIP = 2  # then without: a service may find it too large


class Notify:
    """Tells one service, or those of one Apprise configuration file, of each complete event.

    Not of every one: after a message, events of the same class that begin within ``notify_every`` seconds are counted
    only, and the next message says how many they were. Those seconds are of the sound.

    Args:
        context: of the run.
        notify: an address as Apprise has them, or the path of a configuration file.
        notify_every: 0 tells of all.

    Raises:
        UsageError: an address or file that Apprise does not understand.
        OutputError: Apprise is not installed.
    """

    OPTIONS: ClassVar = (
        Option(
            name="notify",
            metavar="URL",
            help="Send a message for each event by a service that Apprise knows (ntfy://…, tgram://…, mailto://…), "
            "or those in a configuration file of Apprise.",
        ),
        Option(
            name="notify-every",
            metavar="S",
            help="Messages: after one, the next about the same class only after S seconds.",
            type=float,
            default=30.0,
            low=0.0,
            high=1e6,
        ),
    )
    WANTS: ClassVar[frozenset[Want]] = frozenset({"event"})
    WRITES_SOUND: ClassVar[bool] = False  # clips are written by another output, which --no-audio refuses

    def __init__(self, context: OutputContext, *, notify: str, notify_every: float = 30.0) -> None:
        self._services = _services(notify)
        self._pending = list(self._services)  # those that have not taken the message at hand
        self._name = self.shown(notify)
        self._context, self._every = context, notify_every
        self._live = context.source.live
        self._times = context.new_times()
        self._told: dict[tuple[str, str, str], float] = {}  # when the last event began that was told of
        self._untold: Counter[tuple[str, str, str]] = Counter()
        self._done: set[int] = set()  # of the result at hand, which may come again
        self._tries = 0  # of it
        self._suppressed = self._sent = 0

    @classmethod
    def shown(cls, target: str) -> str:
        """The service alone: whatever follows may be a token. Of a file, its path."""
        scheme, separator, _ = target.partition("://")
        return f"{scheme}://***" if separator else target

    def chunk(self, chunk: Chunk) -> None:
        """Nothing is told about sound."""

    def result(self, result: Result) -> None:
        """Tell of a result's complete events.

        Raises:
            TryAgain: a service did not take the message.
            OutputError: it has not taken it several times.
        """
        failed: OutputError | None = None
        for event in result.events:
            if event.id in self._done:
                continue
            began = self._times.onset(event, result) if self._live else None
            try:
                if event.offset is not None:
                    self._tell(event, result, began)
            except TryAgain:
                raise
            except OutputError as error:  # the others of this result are told of all the same
                failed = error
            self._done.add(event.id)
        self._done.clear()
        if failed is not None:
            raise failed

    def status(self, status: Status) -> None:
        """Nothing is told about the source."""

    def amended(self, report: OutputReport) -> OutputReport:
        """With the messages that were sent, of the events that came."""
        return dataclasses.replace(report, delivered=self._sent)

    def close(self) -> None:
        """Say what was not told. A second call does nothing."""
        if self._suppressed:
            log.warning(
                "notify %s: %d events were not told of, as they came within %g s of another of their class; "
                "--notify-every sets how many seconds",
                self._name,
                self._suppressed,
                self._every,
            )
            self._suppressed = 0

    def _tell(self, event: Event, result: Result, began: float | None) -> None:
        key = (result.stream, result.model, event.label)
        last = self._told.get(key)
        if last is not None and event.onset_s - last < self._every:
            if not self._suppressed:
                log.info(
                    "notify %s: more than one %s within %g s; they are counted",
                    self._name,
                    event.label,
                    self._every,
                )
            self._untold[key] += 1
            self._suppressed += 1
            return
        clip = (
            self._context.clips.wait(result, event, CLIP_SECONDS) if self._tries < TRIES_WITH_CLIP else None
        )
        title, body = message(event, self._context.origin.source, began, self._untold[key])
        self._send(title, body, clip)
        self._told[key] = event.onset_s
        del self._untold[key]

    def _send(self, title: str, body: str, clip: Path | None) -> None:
        """To those services that have not taken this message yet."""
        from stream.outputs.apprise_said import AppriseSaid

        attach = None if clip is None or not clip.is_file() else _attachment(clip)
        why = ""
        for service in list(self._pending):
            with AppriseSaid(service) as said:
                taken = bool(service.notify(body=body, title=title, attach=attach, body_format="text"))
            if taken:
                self._pending.remove(service)
            else:
                why = said.text or "the service did not take the message"
        self._tries += 1
        if self._pending and self._tries < MOST_TRIES:
            raise TryAgain(f"{self._name}: {why}")
        self._pending, self._tries = list(self._services), 0
        self._sent += not why
        if why:
            raise OutputError(f"{self._name}: {why}; gave up after {MOST_TRIES} tries")


def message(event: Event, source: str, began: float | None, untold: int = 0) -> tuple[str, str]:
    """Title and body in plain words.

    Args:
        event: a complete one.
        source: device or file.
        began: seconds since 1970; None for recordings.
        untold: events of its class before it that there was no message for.
    """
    import time

    from stream.outputs.people import clock
    from stream.printable import printable

    label = printable(event.label)
    when = (
        f"at {clock(event.onset_s)} of the recording"
        if began is None
        else time.strftime("at %H:%M:%S on %Y-%m-%d", time.localtime(began))
    )
    seconds = (event.offset_s or event.onset_s) - event.onset_s
    lines = [
        f"{label} {when}, for {seconds:.1f} s. Surest at {100 * event.peak:.0f} %.",
        f"Source: {printable(source)}",
    ]
    if event.cut:
        lines.append("The sound was interrupted before it ended.")
    if untold:
        lines.append(f"{untold} more before it, since the last message.")
    return f"{label[:1].upper()}{label[1:]} heard", "\n".join(lines)


def _services(target: str) -> list[Any]:
    """Each service of an address or a configuration file, alone, so that each can be asked again alone."""
    from stream.installation import install_command

    if not target.strip():
        raise UsageError("--notify '': is empty, perhaps an unset variable of the shell; give an address")
    try:
        import apprise
    except ImportError:
        raise OutputError(f"--notify: Apprise is not installed; run {install_command('notify')}") from None
    from stream.outputs.apprise_said import AppriseSaid

    asset = _asset()
    found: Any = apprise.Apprise(asset=asset)
    rule = "Apprise does not understand it; https://github.com/caronc/apprise lists the addresses it knows"
    with AppriseSaid():
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", target):
            found.add(target)
        elif not os.path.isfile(target):
            rule = "is neither an address (SERVICE://…) nor a configuration file; give one of them"
        else:
            rule = "holds no address that Apprise understands; see its documentation of configuration files"
            found.add(apprise.AppriseConfig("file://" + _quoted(target), asset=asset))
        services = list(found)
    if not services:
        raise UsageError(f"--notify {Notify.shown(target)}: {rule}")
    each = []
    for service in services:
        alone: Any = apprise.Apprise(asset=asset)
        alone.add(service)
        each.append(alone)
    return each


def _asset() -> Any:
    """Settings by which messages are sent in the calling thread: Apprise's own threads would hold up our end."""
    import apprise

    try:
        return apprise.AppriseAsset(service_timeout=0)
    except (AttributeError, TypeError):  # before 2.3 it has neither the setting nor the threads
        return apprise.AppriseAsset()


def _attachment(clip: Path) -> Any:
    import apprise

    return apprise.AppriseAttachment("file://" + _quoted(str(clip)))


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(os.path.abspath(path))
