"""Telemetry: figures and pictures of a running stream. A sink that sums up, and the readings it gives."""

from __future__ import annotations

from stream.telemetry.readings import Readings
from stream.telemetry.telemetry import Telemetry

__all__ = ["Readings", "Telemetry"]
