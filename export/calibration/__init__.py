"""Rules of the detector for a budget of false alarms, chosen on streams as they will be heard; and what they give.

heard.py         HeardStream: what a model gave for a stream, and what was to be heard in it
detecting.py     events of computed rows, by the live detector
matching.py      detected events against true ones: found, merged, doubled, false
event_report.py  EventReport: found, missed, doubled, false an hour by kind of sound, delay
stretches.py     the live detector where a class can be on, for many rules
grid.py          the rules that are tried
curve.py         what each of them gives
budget.py        false alarms shared among the classes
calibrate.py     calibrate(): a rule for each class
"""

from __future__ import annotations

from export.calibration.calibrate import Calibration, calibrate
from export.calibration.detecting import heard_events
from export.calibration.event_report import EventReport, event_report
from export.calibration.heard import HeardStream

__all__ = ["Calibration", "EventReport", "HeardStream", "calibrate", "event_report", "heard_events"]
