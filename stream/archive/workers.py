"""Processes that listen, one for each core. One that dies or hangs is replaced, and the others go on."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from stream.archive.crew import ATTEMPTS, PATIENCE_SECONDS, Crew, Done, Progress, given_up
from stream.archive.inventory import Recording
from stream.archive.listener import Heard, Listener, Setup, load_model
from stream.archive.recorded_at import named_time
from stream.errors import ModelError, StreamClassifyError

POLL_SECONDS = 0.2


@dataclass(slots=True)
class _Worker:
    process: Any
    pipe: Connection
    recording: Recording | None = None
    alive_at: float = field(default_factory=time.monotonic)


def processes(jobs: int) -> Crew:
    """A crew of so many processes of this machine."""
    return lambda recordings, setup, folder: listen_to_all(recordings, setup, jobs, folder)


def listen_to_all(
    recordings: Iterable[Recording], setup: Setup, jobs: int, folder: str, patience: float = PATIENCE_SECONDS
) -> Generator[Progress | Done, None, None]:
    """Listen to recordings side by side; each ends as one `Done`, in the order in which they are finished.

    Closing the iterator ends the processes, whatever they are doing.

    Args:
        recordings: to listen to.
        setup: how.
        jobs: processes.
        folder: private to this scan, for what is handed over in files.
        patience: seconds without a sign of life after which a process is replaced.

    Raises:
        ModelError: no process can load the model.
    """
    waiting = deque(recordings)
    attempts: dict[str, int] = {}
    workers: list[_Worker] = []
    context = multiprocessing.get_context("spawn")  # ONNX Runtime's threads do not survive a fork
    try:
        while waiting or any(worker.recording for worker in workers):
            while waiting and len(workers) < jobs and len(workers) < len(waiting) + _busy(workers):
                workers.append(_start(context, setup, folder))
            for worker in workers:
                if worker.recording is None and waiting:
                    _give(worker, waiting.popleft())
            ready = wait([worker.pipe for worker in workers], POLL_SECONDS)
            for worker in list(workers):
                message: Any = None
                if worker.pipe in ready:
                    with suppress(EOFError, OSError):
                        message = worker.pipe.recv()
                    if message is None:  # it is gone
                        yield from _replaced(worker, workers, waiting, attempts, "")
                        continue
                    worker.alive_at = time.monotonic()
                    if isinstance(message, StreamClassifyError):
                        raise message
                    if worker.recording is None:
                        continue
                    if isinstance(message, Heard):
                        yield Done(worker.recording, message)
                        worker.recording = None
                    else:
                        yield Progress(worker.recording, float(message))
                elif worker.recording is not None and time.monotonic() - worker.alive_at > patience:
                    attempts[worker.recording.path] = ATTEMPTS  # it would hang again
                    why = f"its decoder gave no sign of life for {patience:g} s"
                    yield from _replaced(worker, workers, waiting, attempts, why)
    finally:
        for worker in workers:
            _end(worker)


def _busy(workers: list[_Worker]) -> int:
    return sum(worker.recording is not None for worker in workers)


def _start(context: Any, setup: Setup, folder: str) -> _Worker:
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_work, args=(theirs, setup, folder), name="stream-classify scan", daemon=True
    )
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _give(worker: _Worker, recording: Recording) -> None:
    worker.recording = recording
    worker.alive_at = time.monotonic()
    with suppress(OSError):  # it is gone, which is noticed at the next look
        worker.pipe.send(recording)


def _replaced(
    worker: _Worker, workers: list[_Worker], waiting: deque[Recording], attempts: dict[str, int], why: str
) -> Iterator[Done]:
    """Forget a process; its recording gets another attempt, or is given up."""
    workers.remove(worker)
    _end(worker)
    recording = worker.recording
    if recording is None:
        if worker.process.exitcode not in (0, -signal.SIGKILL, -signal.SIGTERM):
            raise ModelError("a process that listens cannot start; run stream-classify verify on the model")
        return
    attempts[recording.path] = attempts.get(recording.path, 0) + 1
    if attempts[recording.path] < ATTEMPTS:
        waiting.appendleft(recording)
        return
    code = worker.process.exitcode
    ended = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    yield given_up(recording, why or f"ended the process that listened to it ({ended}), twice")


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.kill()
    worker.process.join()


def _work(pipe: Connection, setup: Setup, folder: str) -> None:
    """The life of a process: recordings in, what was heard out, until the pipe closes."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches every process of a terminal; the parent acts on it
    try:
        listener = Listener(setup, load_model(setup))
    except StreamClassifyError as error:
        pipe.send(error)
        return
    with suppress(EOFError, OSError):  # the parent is done, or gone
        while True:
            recording = pipe.recv()
            pipe.send(listener.listen(recording, named_time(recording.path), folder, pipe.send))
