"""The pool: all streams of one model in one process, run together.

A `Seat` is a stream whose sound arrives from elsewhere, such as a socket: pushing never blocks, results come back by a
callback. A `PoolEngine` lets a `StreamClassifier` in a thread of its own run its model here. A `LoopDelivery` carries
results to an asyncio loop.
"""

from stream.server.pool.any_pool import AnyPool, AnySeat
from stream.server.pool.loop_delivery import LoopDelivery
from stream.server.pool.pool import Pool
from stream.server.pool.pool_engine import PoolEngine
from stream.server.pool.seat import Seat

__all__ = ["AnyPool", "AnySeat", "LoopDelivery", "Pool", "PoolEngine", "Seat"]
