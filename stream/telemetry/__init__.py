"""What a person may want to know about a running stream, gathered beside it and never read by it.

``Telemetry.observe`` is called by the thread that does the work, ``Telemetry.snapshot`` by the thread that
draws. Nothing here flows back: no decision reads telemetry.
"""

from __future__ import annotations

from stream.telemetry.snapshot import Snapshot
from stream.telemetry.telemetry import Telemetry

__all__ = ["Snapshot", "Telemetry"]
