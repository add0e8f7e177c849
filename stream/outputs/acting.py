"""Acting: what stands before each output and lets through the events that it is to be told of."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING

from stream.errors import TryAgain
from stream.outputs.acting_rule import ActingRule
from stream.outputs.hours import Schedule
from stream.outputs.levels import Levels
from stream.outputs.output import Output, OutputContext
from stream.outputs.output_report import OutputReport
from stream.outputs.queued import Want

if TYPE_CHECKING:
    from stream.messages import Chunk, Event, Result, Status

MOST_RUNNING = 4096  # events whose end has not come; more of them only where a queue dropped ends


@dataclass(slots=True)
class _Past:
    """What is remembered of one class."""

    onsets: deque[float] = field(
        default_factory=deque
    )  # seconds of the stream, of the last ``at_least`` events
    told: float | None = None  # when the last one began that was told of, seconds of the stream
    day: date | None = None  # of that one


class Acting:
    """Hands an output everything except the events that its rule holds back.

    Whether an event is told is decided when it begins and holds until it has ended, whatever is switched meanwhile, so
    each onset that an output sees is followed by its end. Scores, gaps and states pass. It lives in the output's own
    thread.

    Args:
        output: who is told.
        context: of the run, for its switches and clocks. An output whose name is switched off, and a class whose
            group is, is told of nothing.
        name: of the output's switch.
        rule: which events.
        schedules: those that the rule names.
        local: seconds since 1970 -> the time that the wall clock here shows.

    Attributes:
        wants: messages that it must be given.
        held_back: events that the output was not told of.
    """

    def __init__(
        self,
        output: Output,
        context: OutputContext,
        *,
        name: str,
        rule: ActingRule,
        schedules: Mapping[str, Schedule] | None = None,
        local: Callable[[float], datetime] = datetime.fromtimestamp,
    ) -> None:
        self._output, self._name, self._rule = output, name, rule
        self._schedules = schedules or {}
        self._when = rule.when
        self._switches, self._times, self._local = context.switches, context.new_times(), local
        self._groups = frozenset(context.groups)
        self._past: dict[tuple[str, str, str], _Past] = {}
        self._running: OrderedDict[tuple[str, str, int], bool] = OrderedDict()
        self._again: tuple[Result, Result | None] | None = (
            None  # a message that will come once more, and what passes
        )
        self._measured: Chunk | None = None
        self._levels = None if rule.level is None else Levels()
        measures: frozenset[Want] = frozenset() if rule.level is None else frozenset({"chunk"})
        self.wants = output.WANTS | measures
        self.held_back = 0
        self._swallowed = 0  # messages that ended here

    def chunk(self, chunk: Chunk) -> None:
        """See Sink."""
        if self._levels is not None and self._measured is not chunk:  # the same one, where it is tried again
            self._levels.push(chunk)
            self._measured = chunk
        if "chunk" in self._output.WANTS:
            self._output.chunk(chunk)
        else:
            self._swallowed += 1

    def result(self, result: Result) -> None:
        """See Sink."""
        # A message that is tried again must not be counted again.
        passes = self._again[1] if self._again and self._again[0] is result else self._filtered(result)
        self._again = None
        if passes is None:
            self._swallowed += 1
            return
        try:
            self._output.result(passes)
        except TryAgain:
            self._again = result, passes
            raise

    def status(self, status: Status) -> None:
        """See Sink."""
        self._output.status(status)

    def close(self) -> None:
        """See Sink."""
        self._output.close()

    def hurry(self) -> None:
        """See Output."""
        hurry = getattr(self._output, "hurry", None)
        if hurry is not None:
            hurry()

    def missed(self, count: int) -> None:
        """See Output."""
        missed = getattr(self._output, "missed", None)
        if missed is not None:
            missed(count)

    def amended(self, report: OutputReport) -> OutputReport:
        """See Output: with the events that were held back."""
        amended: Callable[[OutputReport], OutputReport] | None = getattr(self._output, "amended", None)
        report = replace(
            report, held_back=self.held_back, delivered=max(0, report.delivered - self._swallowed)
        )
        return report if amended is None else amended(report)

    def _filtered(self, result: Result) -> Result | None:
        """The result with the events that pass; None where nothing is left to tell."""
        if not result.events:
            return result
        events = tuple(event for event in result.events if self._passes(event, result))
        if len(events) == len(result.events):
            return result
        if not (events or result.gaps or result.opened or "result" in self._output.WANTS):
            return None
        from msgspec.structs import replace as changed

        return changed(result, events=events)

    def _passes(self, event: Event, result: Result) -> bool:
        began = self._times.onset(event, result)  # asked of every message, as it says
        key = (result.stream, result.model, event.id)
        if event.offset is not None and key in self._running:
            return self._running.pop(key)
        # Also of an event whose onset was dropped on the way here.
        passes = self._is_met(event, result, began)
        if not passes:
            self.held_back += 1
            if (held_back := getattr(self._output, "held_back", None)) is not None:
                held_back(result, event)
        if event.offset is None:
            self._running[key] = passes
            if len(self._running) > MOST_RUNNING:
                self._running.popitem(last=False)
        return passes

    def _is_met(self, event: Event, result: Result, began: float | None) -> bool:
        rule, switches = self._rule, self._switches
        if not (
            switches.is_on(self._name) and (event.label not in self._groups or switches.is_on(event.label))
        ):
            return False
        if (rule.classes and event.label not in rule.classes) or event.peak < rule.score:
            return False
        moment = self._local(self._times.of(None) if began is None else began)
        if not (self._when.includes(moment) and self._is_scheduled(moment)):
            return False
        if not self._is_loud(event, result):
            return False
        past = self._past.setdefault((result.stream, result.model, event.label), _Past())
        now = event.onset_s
        past.onsets.append(now)
        while len(past.onsets) > rule.at_least:
            past.onsets.popleft()
        if rule.within is not None and (
            len(past.onsets) < rule.at_least or now - past.onsets[0] > rule.within
        ):
            return False
        if past.told is not None and now - past.told < rule.cooldown:
            return False
        if rule.first_of_day and past.day == moment.date():
            return False
        past.told, past.day = now, moment.date()
        return True

    def _is_loud(self, event: Event, result: Result) -> bool:
        if self._levels is None or self._rule.level is None:
            return True
        end = (result.end if event.offset is None else event.offset) / event.sample_rate
        return self._levels.reaches(event.onset_s, end, self._rule.level) is not False

    def _is_scheduled(self, moment: datetime) -> bool:
        names = self._rule.schedule
        return not names or any(
            self._switches.is_on(name) and self._schedules[name].includes(moment) for name in names
        )
