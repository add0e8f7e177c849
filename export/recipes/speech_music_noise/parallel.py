"""Several processes for work that falls into independent parts."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import TypeVar

from stream.errors import ExportError

Out = TypeVar("Out")


def run_parallel(jobs: int, work: Callable[..., Out], tasks: Sequence[tuple[object, ...]]) -> Iterator[Out]:
    """``work(*task)`` for every task in up to ``jobs`` processes; results in the order of the tasks.

    ``work`` and the tasks must be picklable. After an error, or when the caller stops, no further task is begun.

    Raises:
        ExportError: a process was killed, most likely because memory ran out.
        Exception: whatever ``work`` raised.
    """
    if jobs == 1 or len(tasks) == 1:
        for task in tasks:
            yield work(*task)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), _prepare_worker, (jobs,)) as pool:
        parts = [pool.submit(work, *task) for task in tasks]
        try:
            for part in parts:
                yield part.result()
        except BrokenProcessPool:
            raise ExportError(
                f"{jobs} jobs: one was killed, most likely because memory ran out; run it again with fewer --jobs"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _prepare_worker(jobs: int) -> None:
    """A worker uses its share of the cores, not all of them, and ends when the process that it works for is killed."""
    import torch

    threading.Thread(target=_end_with_parent, daemon=True).start()

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # no one reads its result, and it could overwrite what the next run makes
