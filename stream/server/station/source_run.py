"""SourceRun: one source of a station, in a thread of its own, started again whenever an error ends it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec

from stream.assembly import make_classifier, make_json_lines, make_outputs, make_rules
from stream.capture.device.portaudio import reinitialise
from stream.capture.fitting import kind_of_input
from stream.capture.live.supervisor import Backoff
from stream.capture.source import AudioSource
from stream.errors import DeviceError, StreamClassifyError, UsageError
from stream.outputs.outputs import Outputs
from stream.outputs.records import Origin
from stream.outputs.schema import SCHEMA_VERSION
from stream.outputs.sink import Sink
from stream.outputs.wall_time import rfc3339
from stream.printable import printable
from stream.runner import run
from stream.server.hub import Hub
from stream.server.hub_message import HubMessage, SourceCondition, SourceRecord
from stream.server.pool import Pool, PoolEngine
from stream.server.station.hub_sink import Hearing, HubSink
from stream.server.station.listened import look
from stream.server.station.source_glance import SourceGlance
from stream.server.station.source_spec import SourceSpec
from stream.telemetry import Telemetry
from stream.tuning import Tuning

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0  # that a run may take to end before it is left behind; its outputs have a second of them
HEALTHY_SECONDS = 60.0  # a run that lasted so long was no failed start: the next one begins soon after it
ENDING = ("a file", "a simulated microphone")  # what comes to its end, and may


def patient() -> Backoff:
    """Waits between starts: one second at first, five minutes at last."""
    return Backoff(1.0, 300.0, brisk=15.0)


def nothing_beside(spec: SourceSpec) -> Sequence[Sink]:
    """No further sinks."""
    return ()


class SourceRun:
    """Listens to one source, over and over, until it is stopped or the sound is at its end.

    What a live source does about a device that comes and goes is its own affair; this is for what ends the run: a
    device that is not there at the start, an address that is wrong, a model that gives no probabilities, a file that
    is gone. The reason is kept and told, and after a pause, which grows, it is tried again.

    Args:
        spec: what to listen to, and how.
        pool: runs its model.
        hub: is told.
        beside: makes further sinks, for each run anew.
        patience: makes the pauses between starts.
        clock, wall: monotonic seconds, and seconds since 1970.

    Attributes:
        spec, pool: as given.
        telemetry: of the present run, or of the last one; None before the first.
    """

    def __init__(
        self,
        spec: SourceSpec,
        pool: Pool,
        hub: Hub,
        *,
        beside: Callable[[SourceSpec], Sequence[Sink]] = nothing_beside,
        patience: Callable[[], Backoff] = patient,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.spec, self.pool = spec, pool
        self._hub = hub
        self._beside = beside
        self._patience, self._clock, self._wall = patience, clock, wall
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._condition: tuple[SourceCondition, str, float] = ("starting", "", wall())
        self._running = False
        self._restarts, self._error = 0, ""
        self._retry_at: float | None = None
        self._was_missing = self._left_behind = False
        self._source: AudioSource | None = None
        self._engine: PoolEngine | None = None
        self._sink: HubSink | None = None
        self._tuning: Tuning | None = None
        self._outputs: Outputs | None = None
        self.telemetry: Telemetry | None = None
        self._placed: dict[str, float] = {}
        self._thread = threading.Thread(target=self._supervise, name=f"source {spec.name}", daemon=True)

    @property
    def name(self) -> str:
        """Of the source."""
        return self.spec.name

    def start(self) -> None:
        """Start its thread, once. Nothing is waited for."""
        self._thread.start()

    def begin_stop(self) -> None:
        """Ask it to end, and wait for nothing: some devices take their time."""
        with self._lock:
            self._stopping.set()
            source = self._source
        if source is not None:
            threading.Thread(target=source.close, name=f"closing {self.name}", daemon=True).start()

    def stop(self, seconds: float = STOP_SECONDS) -> bool:
        """End it: events end, outputs are given what waits for them.

        Args:
            seconds: that this may take. What hangs for longer is left behind, in a thread that keeps nothing else
                from ending.

        Returns:
            Whether it ended.
        """
        self.begin_stop()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        if not self._thread.is_alive():
            return True
        log.warning("%s: did not stop within %g s; it was left behind", self.name, seconds)
        self._change("stopped", "did not end in time")
        with self._lock:
            self._left_behind = True
            if self._sink is not None:
                self._sink.mute()
            if self._engine is not None:
                self._engine.close()  # whoever waits for a row waits no more
        return False

    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def adopt(self, spec: SourceSpec) -> bool:
        """Go on by other rules of the detector, without losing a sample.

        Returns:
            Whether that is possible: nothing else differs, and the same classes are reported.
        """
        if not self.spec.differs_in_rules_only(spec):
            return False
        before, now = (make_rules(self.pool.model, each)[0] for each in (self.spec, spec))
        labels = self.spec.derived.labels(self.pool.model.labels)
        if any(before.rule(label).enabled != now.rule(label).enabled for label in labels):
            return False
        with self._lock:
            self.spec, tuning = spec, self._tuning
            self._placed.clear()
        if tuning is not None:
            tuning.take(now)
        return True

    def place_threshold(self, label: str, threshold: float) -> str:
        """See `Listened`. It holds until the settings of the source change, also when it is started again."""
        words = self._heard().place(label, threshold)
        self._placed[label] = threshold
        return words

    def mute(self, label: str) -> str:
        """See `Listened`."""
        return self._heard().mute(label)

    def clip(self, event: int) -> Path | None:
        """See `Listened`."""
        outputs = self._outputs
        return None if outputs is None else outputs.clips.of("", self.pool.model.id, event)

    def glance(self) -> SourceGlance:
        """How it is doing. From any thread."""
        with self._lock:
            condition = self._condition
            running, sink, tuning, outputs = self._running, self._sink, self._tuning, self._outputs
            restarts, error, retry_at = self._restarts, self._error, self._retry_at
        hearing = Hearing() if sink is None else sink.hearing()
        if running:
            condition = hearing.state, hearing.detail, hearing.since
        return look(
            self.name,
            self.spec.listens_to,
            self.pool.model.card,
            self.spec.derived.labels(self.pool.model.labels),
            hearing,
            condition,
            restarts=restarts,
            error=error,
            retry_in=None if retry_at is None else round(max(0.0, retry_at - self._clock()), 3),
            thresholds={} if tuning is None else tuning.thresholds(),
            outputs=() if outputs is None else tuple(outputs.reports()),
        )

    def _supervise(self) -> None:
        """The thread: run after run."""
        pauses, said = self._patience(), ""
        while not self._stopping.is_set():
            began = self._clock()
            self._change("starting", "")
            try:
                ended = self._listen()
            except Exception as error:  # of a source, a model, an output: whatever it is, the others go on
                if not isinstance(error, StreamClassifyError):
                    log.debug("%s", self.name, exc_info=True)
                self._was_missing = isinstance(error, DeviceError)
                kind = "" if isinstance(error, StreamClassifyError) else f"{type(error).__name__}: "
                reason = printable(" ".join(f"{kind}{error}".split()))
            else:
                if self._stopping.is_set():
                    break
                if ended is not None:
                    self._change("ended", ended)
                    return
                reason = "the sound ended, which live sound should not"
            finally:
                self._forget()
            if self._stopping.is_set():
                break
            if self._clock() - began >= HEALTHY_SECONDS:
                pauses.reset()
                said = ""
            pause = pauses.next()
            level = logging.DEBUG if reason == said else logging.WARNING  # the same for weeks fills a disk
            log.log(level, "%s: %s; it is started again in %.3g s", self.name, reason, pause)
            said = reason
            with self._lock:
                self._error = reason
                self._retry_at = self._clock() + pause
            self._change("waiting", reason)
            self._stopping.wait(pause)
            with self._lock:
                self._retry_at = None
                self._restarts += not self._stopping.is_set()
        self._change("stopped", "")

    def _listen(self) -> str | None:
        """One run. What to say where the sound came to its end; None where it should have gone on."""
        spec = self.spec
        if self._was_missing:
            self._was_missing = False
            reinitialise()  # PortAudio's list of devices is from when it was loaded
        source = spec.open()
        with ExitStack() as stack:
            stack.enter_context(closing(source))
            engine = stack.enter_context(closing(self.pool.engine()))
            with self._lock:
                self._source, self._engine = source, engine
                if self._stopping.is_set():
                    return None
            info = msgspec.structs.replace(source.info(), name=spec.name)
            model = self.pool.model
            classifier = make_classifier(model, spec, engine)
            lines = make_json_lines(spec, model, spec.name, info.live, dashboard=True)
            for each in lines:
                stack.callback(each.close)
            outputs = make_outputs(spec, classifier, info)
            stack.callback(outputs.close)
            origin = Origin(spec.name, model.card.name, model.sha256)
            sink = HubSink(self._hub, origin, info, model.card, classifier.labels)
            telemetry = Telemetry(
                model.card,
                info,
                classifier.detector_spec,
                provider=model.provider,
                labels=classifier.labels,
                outputs=outputs.reports,
            )
            told: list[Sink] = [sink, *self._beside(spec), *lines, outputs]
            tuning = Tuning(classifier, telemetry, told, outputs.marks)
            for label, threshold in self._placed.items():
                tuning.place(label, threshold)
            with self._lock:
                self._sink, self._tuning, self._outputs = sink, tuning, outputs
                self.telemetry = telemetry
                self._running = True
                adopted = self.spec
            if adopted is not spec:  # while this was made
                tuning.take(make_rules(model, adopted)[0])
            self._tell("listening", "")
            run(
                source,
                classifier,
                [tuning, telemetry, *told],
                history_seconds=outputs.history_seconds or None,
            )
        if info.live and info.duration is None and kind_of_input(spec.input, spec.demo) not in ENDING:
            return None
        return source.report().truncated

    def _heard(self) -> Tuning:
        tuning = self._tuning
        if tuning is None:
            raise UsageError(f"{self.name}: is not heard just now; try again when it is")
        return tuning

    def _forget(self) -> None:
        with self._lock:
            self._source = self._engine = self._tuning = None
            self._running = False

    def _change(self, state: SourceCondition, detail: str) -> None:
        with self._lock:
            if self._left_behind:
                return
            self._condition = state, detail, self._wall()
        self._tell(state, detail)

    def _tell(self, state: SourceCondition, detail: str) -> None:
        record = SourceRecord(
            schema=SCHEMA_VERSION,
            state=state,
            detail=detail,
            restarts=self._restarts,
            t_wall=rfc3339(self._wall()),
            source=self.name,
        )
        self._hub.publish(HubMessage("status", self.name, record))
