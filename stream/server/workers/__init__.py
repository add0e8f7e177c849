"""Workers: processes that classify streams from outside, beside the one that talks to clients.

A `WorkerPool` is a `Pool` whose streams are in a few such processes. All that a station knows of a stream (its client,
its replies, its tokens) stays where it is; orders and answers go through pipes, a batch at a time.
"""

from stream.server.workers.worker_pool import WorkerPool

__all__ = ["WorkerPool"]
