"""What runs on the machines of a Ray cluster: one recording, listened to by a process that keeps its model loaded."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from stream._version import __version__
from stream.archive.inventory import Recording
from stream.archive.listener import Heard, Listener, Setup
from stream.errors import UsageError
from stream.inference.session import Model
from stream.printable import printable


@dataclass(frozen=True, slots=True)
class Job:
    """The same for all recordings of a scan; travels once to each machine.

    Attributes:
        setup: how is listened.
        model: travels as the bytes of its file.
        version: of this program, where the scan was started.
        key: of this scan alone.
    """

    setup: Setup
    model: Model
    version: str
    key: str


@dataclass(frozen=True, slots=True)
class Errand:
    """A recording to listen to.

    Attributes:
        recording: as the scan knows it.
        path: absolute; a process on another machine has another working directory.
        named: when it began by its name, seconds since 1970, read in the time zone of the machine of the scan.
    """

    recording: Recording
    path: str
    named: float | None


@dataclass(frozen=True, slots=True)
class Started:
    """The first sign of life: the name of the machine."""

    host: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a recording came to, with the bytes of its history file; b"" = none."""

    heard: Heard
    history: bytes


_listeners: dict[str, Listener] = {}  # of this process: that of the scan it works for


def run_errand(key: str, job: list[Any], errand: Errand) -> Iterator[Started | float | Report]:
    """Listen to a recording.

    Args:
        key: of the scan.
        job: a reference to the `Job`, in a list, so that Ray leaves it to us to fetch it, which is once a process.
        errand: what to listen to.

    Yields:
        `Started`; seconds of sound so far, about twice a second; `Report`.

    Raises:
        UsageError: this machine has another version of the program.
        ModelError: the model cannot be loaded here.
    """
    listener = _listener(key, job)
    host = socket.gethostname()
    yield Started(host)
    if problem := _problem_here(errand, host):
        yield Report(Heard(problem=problem, failed=True), b"")
        return
    recording = replace(errand.recording, path=errand.path)
    messages: SimpleQueue[float | Future[Heard]] = SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="stream-classify-scan-") as folder, ThreadPoolExecutor(1) as pool:
        future = pool.submit(listener.listen, recording, errand.named, folder, messages.put)
        future.add_done_callback(messages.put)
        while not isinstance(message := messages.get(), Future):
            yield message
        heard = future.result()
        history = Path(heard.history).read_bytes() if heard.history else b""
    problem = heard.problem.replace(printable(errand.path), printable(errand.recording.path))
    yield Report(replace(heard, problem=problem, history=""), history)


def heard_in(report: Report, folder: str) -> Heard:
    """What a report says, with its history as a file in ``folder``."""
    if not report.history:
        return report.heard
    descriptor, path = tempfile.mkstemp(".sqlite", dir=folder)
    with os.fdopen(descriptor, "wb") as file:
        file.write(report.history)
    return replace(report.heard, history=path)


def _listener(key: str, job: list[Any]) -> Listener:
    if key not in _listeners:
        import ray

        fetched: Job = ray.get(job[0])
        if fetched.version != __version__:
            raise UsageError(
                f"{socket.gethostname()} has version {__version__} of stream-classify, and the scan was started by "
                f"{fetched.version}; install the same on all machines"
            )
        _listeners.clear()
        _listeners[key] = Listener(fetched.setup, fetched.model)
    return _listeners[key]


def _problem_here(errand: Errand, host: str) -> str:
    """Why a recording that its scan has seen cannot be had on this machine; "" if it can."""
    name, here = errand.recording.name, printable(host)
    try:
        found = os.stat(errand.path)
        if stat.S_ISREG(found.st_mode):
            with open(errand.path, "rb"):
                pass
    except OSError as error:
        return (
            f"{name}: cannot be opened on {here} ({error.strerror}); recordings must lie where all machines of the "
            "cluster find them under the same path"
        )
    if found.st_size != errand.recording.size:
        return (
            f"{name}: has {found.st_size} bytes on {here}, and {errand.recording.size} where the scan was started; "
            "the same path must be the same file on all machines"
        )
    return ""
