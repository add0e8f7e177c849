"""A crew on Ray: each recording is a task on whichever machine has a core free; one that dies is given again."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter, deque
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from stream._version import __version__
from stream.archive.crew import ATTEMPTS, PATIENCE_SECONDS, Crew, Done, Progress, given_up
from stream.archive.inventory import Recording
from stream.archive.listener import Setup, load_model
from stream.archive.ray_task import Errand, Job, Started, heard_in, run_errand
from stream.archive.recorded_at import named_time
from stream.errors import StreamClassifyError, UsageError
from stream.printable import printable
from stream.ray_connection import ray_connection

POLL_SECONDS = 0.2
COUNT_SECONDS = 5.0  # between two looks at how many cores there are: machines come and go
IDLE_SECONDS = 30.0  # without a core for any task, until that is said
LOST_MACHINES = 5  # that may go while a recording is listened to, until it counts as the reason
log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Task:
    errand: Errand
    stream: Any  # of objects: what the task says, one after the other
    host: str = ""
    alive_at: float | None = None  # None while it waits for a core


def on_ray(
    address: str,
    jobs: int | None = None,
    environment: Mapping[str, str] | None = None,
    patience: float = PATIENCE_SECONDS,
) -> Crew:
    """A crew on a Ray cluster.

    Args:
        address: "local", "auto" or HOST:PORT; see `ray_connection`.
        jobs: tasks at a time; by default as many as the cluster has cores.
        environment: variables of the processes that listen.
        patience: seconds without a sign of life after which a task is given up.
    """

    def listen(
        recordings: Sequence[Recording], setup: Setup, folder: str
    ) -> Generator[Progress | Done, None, None]:
        model = load_model(setup)
        if not recordings:
            return
        with ray_connection(address, cpus=jobs, environment=environment) as ray:
            spread = _Spread(ray, Job(setup, model, __version__, uuid4().hex), folder, jobs, patience)
            try:
                yield from spread.listen(recordings)
            finally:
                spread.cancel()

    return listen


class _Spread:
    """Tasks under way, and what becomes of them. Each recording is done once, however often it was tried."""

    def __init__(self, ray: Any, job: Job, folder: str, jobs: int | None, patience: float) -> None:
        self._ray = ray
        # Once for all tasks, and fetched once by each process: the model is some megabytes.
        self._job = [ray.put(job)]
        self._key = job.key
        self._folder = folder
        self._jobs = jobs
        self._patience = patience
        self._task = ray.remote(num_cpus=1, max_retries=0, num_returns="streaming")(run_errand)
        self._tasks: dict[Any, _Task] = {}
        self._crashes: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._room = 0
        self._counted_at = float("-inf")
        self._busy_at = time.monotonic()

    def listen(self, recordings: Sequence[Recording]) -> Generator[Progress | Done, None, None]:
        waiting = deque(_errand(each) for each in recordings)
        while waiting or self._tasks:
            while waiting and len(self._tasks) < self._limit():
                self._give(waiting.popleft())
            for stream in self._ready():
                task = self._tasks[stream]
                message = self._next(task, waiting)
                if message is not None:
                    yield message
            self._say_if_idle()
            for task in list(self._tasks.values()):
                if task.alive_at is not None and time.monotonic() - task.alive_at > self._patience:
                    self._drop(task, force=True)
                    why = f"its decoder gave no sign of life for {self._patience:g} s on {task.host}"
                    yield given_up(task.errand.recording, why)

    def cancel(self) -> None:
        """End what is under way."""
        for task in list(self._tasks.values()):
            self._drop(task, force=True)

    def _limit(self) -> int:
        """Tasks to have at a time: some wait, so that no core does, and a cluster that can grow sees that it should."""
        if self._jobs is not None:
            return self._jobs
        if time.monotonic() - self._counted_at > COUNT_SECONDS:
            self._counted_at = time.monotonic()
            self._room = max(2, 2 * int(self._ray.cluster_resources().get("CPU", 0)))
        return self._room

    def _say_if_idle(self) -> None:
        """Once, where the cluster has no core for any of the tasks."""
        if any(task.alive_at is not None for task in self._tasks.values()) or not self._tasks:
            self._busy_at = time.monotonic()
        elif time.monotonic() - self._busy_at > IDLE_SECONDS:
            self._busy_at = float("inf")
            log.warning("Ray has had no core for a recording for %g s; still waiting for one", IDLE_SECONDS)

    def _give(self, errand: Errand) -> None:
        stream = self._task.remote(self._key, self._job, errand)
        self._tasks[stream] = _Task(errand, stream)

    def _drop(self, task: _Task, *, force: bool) -> None:
        del self._tasks[task.stream]
        if force:
            self._ray.cancel(task.stream, force=True)

    def _ready(self) -> list[Any]:
        """Streams with something new to say; waits a moment for the first."""
        streams = list(self._tasks)
        ready, _ = self._ray.wait(streams, num_returns=1, timeout=POLL_SECONDS)
        if ready:
            ready, _ = self._ray.wait(streams, num_returns=len(streams), timeout=0)
        return list(ready)

    def _next(self, task: _Task, waiting: deque[Errand]) -> Progress | Done | None:
        """What a task says next; a task that died is given again, or given up."""
        from ray import exceptions

        recording = task.errand.recording
        try:
            message = self._ray.get(next(task.stream))
        except (exceptions.RuntimeEnvSetupError, exceptions.TaskUnschedulableError) as error:
            raise _cannot_work(error) from None
        except (exceptions.NodeDiedError, exceptions.ObjectLostError) as error:
            self._drop(task, force=False)
            self._lost[recording.path] += 1
            if self._lost[recording.path] < LOST_MACHINES:
                waiting.appendleft(task.errand)
                return None
            return given_up(recording, f"lost with its machine {LOST_MACHINES} times ({_reason(error)})")
        except exceptions.RayTaskError as error:
            if isinstance(error.cause, StreamClassifyError):
                raise error.cause from None
            if task.alive_at is None:  # before it began: something is missing there
                raise _cannot_work(error) from None
            return self._crashed(task, waiting, _reason(error))
        except (exceptions.RayError, StopIteration) as error:
            return self._crashed(task, waiting, _reason(error))
        if isinstance(message, Started):
            task.host, task.alive_at = message.host, time.monotonic()
            return None
        if isinstance(message, float):
            task.alive_at = time.monotonic()
            return Progress(recording, message)
        self._drop(task, force=False)
        return Done(recording, heard_in(message, self._folder))

    def _crashed(self, task: _Task, waiting: deque[Errand], reason: str) -> Done | None:
        recording = task.errand.recording
        self._drop(task, force=False)
        self._crashes[recording.path] += 1
        if self._crashes[recording.path] < ATTEMPTS:
            waiting.appendleft(task.errand)
            return None
        where = f" on {task.host}" if task.host else ""
        return given_up(recording, f"ended the process that listened to it{where} ({reason}), twice")


def _errand(recording: Recording) -> Errand:
    return Errand(recording, os.path.abspath(recording.path), named_time(recording.path))


def _cannot_work(error: Exception) -> UsageError:
    """What keeps every process there from working, such as a package that is missing."""
    return UsageError(
        f"Ray's processes cannot listen: {_reason(error)}; all machines need stream-classify {__version__} and the "
        "same Python"
    )


def _reason(error: Exception) -> str:
    """One line: the kind of the error, and its own words up to the first full stop."""
    cause = getattr(error, "cause", None) or error
    words = str(cause).strip().splitlines()
    first = words[-1 if type(cause).__name__ == "RayTaskError" else 0] if words else ""
    return printable(f"{type(cause).__name__}: {first}".removesuffix(": ")[:300])
