"""--exec: a command for each event, with the event on its standard input and in its environment."""

from __future__ import annotations

import dataclasses
import logging
import os
import shlex
import shutil
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar

from stream.errors import OutputError, UsageError
from stream.outputs.output import Option, OutputContext
from stream.outputs.output_report import OutputReport
from stream.outputs.queued import Want

if TYPE_CHECKING:
    from stream.messages import Chunk, Event, Result, Status
    from stream.outputs.command_job import CommandJob

log = logging.getLogger(__name__)

PREFIX = (
    "STREAM_CLASSIFY_EVENT_"  # of environment variables; other STREAM_CLASSIFY_ are settings of this program
)
LAST_SECONDS, ENDING_SECONDS = 0.5, 0.3  # at the end: to finish, and to be ended


def command_words(command: str) -> list[str]:
    """Program and arguments, split as a shell splits words.

    Raises:
        UsageError: it cannot be split, or its program cannot be run.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--exec {command!r}: {error}; quote it as in a shell") from None
    if not words or not words[0]:
        raise UsageError("--exec '': is empty, perhaps an unset variable of the shell; give a command")
    if "\0" in command:
        raise UsageError(f"--exec {command!r}: holds a null character; leave it out")
    if shutil.which(words[0]) is None:
        is_file = os.path.isfile(words[0])
        what = (
            f"{words[0]} is not executable; chmod +x {shlex.quote(words[0])}"
            if is_file
            else f"{words[0]}: no such command; give its path, or --exec-shell for a line that a shell must read"
        )
        raise UsageError(f"--exec {command!r}: {what}")
    return words


class Exec:
    """Runs one command for each event, several at a time.

    Args:
        context: of the run.
        exec: the command; no shell reads it unless ``exec_shell``.
        exec_shell: it is a line for ``/bin/sh``.
        exec_onsets: also run it when an event begins.
        exec_timeout: seconds after which it is ended, with all that it started.
        exec_jobs: how many may run at once; more events wait.

    Raises:
        UsageError: a command that cannot be run.
    """

    OPTIONS: ClassVar = (
        Option(
            name="exec",
            metavar="COMMAND",
            help="Run COMMAND for each event: the event as JSON on its standard input, and in variables such as "
            f"{PREFIX}LABEL.",
        ),
        Option(name="exec-shell", type=bool, default=False, help="Commands: let a shell read COMMAND."),
        Option(name="exec-onsets", type=bool, default=False, help="Commands: also run when an event begins."),
        Option(
            name="exec-timeout",
            metavar="S",
            help="Commands: seconds after which one is ended, with all that it started.",
            type=float,
            default=30.0,
            low=0.1,
            high=86400.0,
        ),
        Option(
            name="exec-jobs",
            metavar="N",
            help="Commands: how many may run at once; more events wait.",
            type=int,
            default=2,
            low=1,
            high=64,
        ),
    )
    WANTS: ClassVar[frozenset[Want]] = frozenset({"event"})
    WRITES_SOUND: ClassVar[bool] = False

    def __init__(
        self,
        context: OutputContext,
        *,
        exec: str,
        exec_shell: bool = False,
        exec_onsets: bool = False,
        exec_timeout: float = 30.0,
        exec_jobs: int = 2,
    ) -> None:
        import msgspec

        if exec_shell and (not exec.strip() or "\0" in exec):
            raise UsageError(f"--exec {exec!r}: is no command; give one")
        self._words: str | list[str] = exec if exec_shell else command_words(exec)
        self._shell, self._timeout, self._most = exec_shell, exec_timeout, exec_jobs
        self._name = os.path.basename(exec.split()[0] if exec_shell else self._words[0])
        self._origin, self._live, self._onsets = context.origin, context.source.live, exec_onsets
        self._times = context.new_times()
        self._encode = msgspec.json.Encoder().encode
        self._jobs: set[CommandJob] = set()
        self._changed = threading.Condition()
        self._ends_at: float | None = None
        self._done = self._failed = 0

    @classmethod
    def shown(cls, target: str) -> str:
        """The program alone: arguments may hold secrets."""
        return target.split()[0] if target.split() else ""

    def chunk(self, chunk: Chunk) -> None:
        """Nothing happens for sound."""

    def result(self, result: Result) -> None:
        """Start a command for each event, as soon as there is room for it.

        Raises:
            OutputError: it cannot be started.
        """
        import msgspec

        from stream.outputs.records import event_record
        from stream.printable import printable_json

        if not self._live:
            result = msgspec.structs.replace(result, captured_at=None)
        failed: OutputError | None = None
        for event in result.events:
            began = self._times.onset(event, result)
            if self._onsets or event.offset is not None:
                record = event_record(event, result.stream, self._origin, began)
                text = printable_json(self._encode(record)) + b"\n"
                try:
                    self._start(text, event_variables(msgspec.to_builtins(record)), event)
                except OutputError as error:  # the others of this result are started all the same
                    failed = error
        if failed is not None:
            raise failed

    def status(self, status: Status) -> None:
        """Nothing happens for the source."""

    def amended(self, report: OutputReport) -> OutputReport:
        """With the commands that ended well, failed, and run."""
        with self._changed:
            return dataclasses.replace(
                report,
                delivered=self._done,
                waiting=report.waiting + len(self._jobs),
                errors=report.errors + self._failed,
            )

    def hurry(self) -> None:
        """The end has come: wait no longer than a moment for room for more commands."""
        with self._changed:
            if self._ends_at is None:
                self._ends_at = time.monotonic() + LAST_SECONDS
            self._changed.notify_all()

    def close(self) -> None:
        """Give running commands a moment, then end them. A second call does nothing."""
        self.hurry()
        self._wait_for_jobs(self._time_left())
        with self._changed:
            running = list(self._jobs)
        for job in running:
            job.stop()
        self._wait_for_jobs(ENDING_SECONDS)
        if running:
            log.warning(
                "exec %s: still running at the end, and ended: %d of its commands", self._name, len(running)
            )

    def _time_left(self) -> float:
        """Seconds until the end, as long as a thread can wait where that is not known."""
        return threading.TIMEOUT_MAX if self._ends_at is None else self._ends_at - time.monotonic()

    def _start(self, text: bytes, variables: dict[str, str], event: Event) -> None:
        from stream.outputs.command_job import CommandJob

        with self._changed:
            while len(self._jobs) >= self._most and (left := self._time_left()) > 0:
                self._changed.wait(left)
            if len(self._jobs) >= self._most:
                raise OutputError(f"the run ends; {self._name} was not started for event {event.id}")
        try:
            job = CommandJob(self._words, text, os.environ | variables, shell=self._shell)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise OutputError(f"{self._name} cannot be started: {why}") from None
        with self._changed:
            self._jobs.add(job)
        threading.Thread(
            target=self._accompany, args=(job, event), name=f"exec {self._name}", daemon=True
        ).start()

    def _accompany(self, job: CommandJob, event: Event) -> None:
        wrong = job.run(self._timeout)
        with self._changed:
            self._jobs.discard(job)
            self._done += not wrong
            self._failed += bool(wrong)
            first = wrong and self._failed == 1
            self._changed.notify_all()
        if first:
            log.warning(
                "exec %s: %s, for event %d; further failures are counted only", self._name, wrong, event.id
            )

    def _wait_for_jobs(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        with self._changed:
            while self._jobs and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)


def event_variables(record: dict[str, Any]) -> dict[str, str]:
    """Each field of a record as an environment variable; what has no value is left out."""
    variables = {}
    for name, value in record.items():
        if value is not None and name != "schema":
            text = str(value).lower() if isinstance(value, bool) else str(value)
            variables[PREFIX + name.upper()] = text.replace("\0", "?").encode("utf-8", "replace").decode()
    return variables
