"""Listening: make the objects the options ask for, and run them behind a dashboard or as JSON lines."""

from __future__ import annotations

import logging
import os
import signal
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stream.cli.hints import HintLog
from stream.cli.models import load_model
from stream.cli.patience import interruptible
from stream.cli.say import say, set_up_log
from stream.errors import ClosedError, OutputError, UsageError

if TYPE_CHECKING:
    from stream.capture.source import AudioSource
    from stream.classifier import StreamClassifier
    from stream.inference.session import Model
    from stream.messages import SourceInfo
    from stream.outputs.jsonl import JsonLines
    from stream.outputs.kept import KeptSounds
    from stream.outputs.outputs import Outputs
    from stream.outputs.sink import Sink
    from stream.runner import Summary
    from stream.telemetry import Readings

log = logging.getLogger("stream")
STOP_SECONDS = 0.8  # that a worker may take to finish before the terminal is given back without it
HISTORY_SECONDS = 20.0  # kept behind the dashboard, for the keys that keep a sound
DASHBOARD_CHUNK_SECONDS = 0.06  # where nothing waits for the sound but a screen, drawn a few times a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the root command, by their long names."""

    input: str | None
    device: str | None
    demo: bool
    sample_rate: int | None
    channel: str | None
    block_samples: int
    format: str | None
    insecure: bool
    channels: int
    fast: bool
    when_late: str
    model: str
    provider: str
    threshold: tuple[str, ...]
    peak_threshold: tuple[str, ...]
    min_on: tuple[str, ...]
    min_off: tuple[str, ...]
    refractory: tuple[str, ...]
    smoothing: tuple[str, ...]
    repair: str
    max_gap: float | None
    reset_after: float | None
    jsonl: str | None
    scores: bool
    onsets: bool
    heard: str
    screenshot: str | None
    verbose: bool
    outputs: Mapping[str, Any]


def listen(options: Options) -> None:
    """Run until the source ends, q or Ctrl-C is pressed, or SIGTERM comes."""
    set_up_log(options.verbose)
    if sum(map(bool, (options.input, options.device, options.demo))) > 1:
        raise UsageError("--input, --device and --demo: each says what to listen to; give one of them")
    dashboard = options.jsonl != "-" and terminal_can_draw()
    if options.screenshot and not dashboard:
        raise UsageError(
            "--screenshot: there is no dashboard to save; run it on a terminal, without --jsonl -"
        )
    if options.screenshot:
        from stream.dashboard.svg import check_svg_path

        check_svg_path(options.screenshot)
    model = interruptible(lambda: load_model(options.model, options.provider, keep_ceiling=True))
    classifier = make_classifier(model, options)
    warm_up(classifier)  # before the microphone opens: first calls are slow
    source = interruptible(
        lambda: open_input(options, DASHBOARD_CHUNK_SECONDS if dashboard and not options.jsonl else None)
    )
    with source:
        info = source.info()
        rates = f"{info.sample_rate} Hz"
        if info.sample_rate != classifier.sample_rate:
            rates += f" -> {classifier.sample_rate} Hz"
        chosen = f", {model.provider_reason}" if model.provider_reason else ""
        log.info(
            "listening to %s (%s), model %s on %s%s",
            info.name,
            rates,
            model.card.name,
            model.provider,
            chosen,
        )
        lines = make_json_lines(options, model, info.name, info.live, dashboard)
        outputs = make_outputs(options, classifier, info)
        with stop_signals(source.close, lines):
            if dashboard:
                run_dashboard(source, classifier, lines, outputs, options)
            else:
                people: list[Sink] = []
                if options.jsonl is None and is_terminal() and not (options.scores or options.onsets):
                    from stream.outputs.people import PlainLines

                    people.append(PlainLines(show, live=info.live))
                    lines = []
                hints = HintLog(info.name)
                summary = run_plain(
                    source, classifier, [hints, *lines, *people, outputs], outputs.history_seconds
                )
                if people:
                    show_closing(None, summary, classifier.sample_rate)
                _report(summary, source, classifier.sample_rate, closed=bool(people), said=hints.said)
            _report_lines(lines, must_be_whole=options.fast)
            report_outputs(outputs)


def make_classifier(model: Model, options: Options) -> StreamClassifier:
    from stream.classifier import StreamClassifier
    from stream.cli.rules import detector_spec
    from stream.features.conditioner import MAX_GAP_SECONDS

    rules = detector_spec(
        model.card.detector,
        model.labels,
        {
            "threshold": options.threshold,
            "peak_threshold": options.peak_threshold,
            "min_on": options.min_on,
            "min_off": options.min_off,
            "refractory": options.refractory,
            "smoothing": options.smoothing,
        },
    )
    return StreamClassifier(
        model,
        rules,
        repair=options.repair,  # type: ignore[arg-type]  # click has checked it
        max_gap=MAX_GAP_SECONDS if options.max_gap is None else options.max_gap,
        reset_after=options.reset_after,
    )


def warm_up(classifier: StreamClassifier) -> None:
    """Run half a second of silence through everything, then forget it."""
    import numpy as np

    hop = np.zeros(classifier.hop, np.float32)
    for _ in range(max(1, classifier.sample_rate // 2 // classifier.hop)):
        classifier.push(hop)
    classifier.flush()
    classifier.reset()


def open_input(options: Options, chunk_seconds: float | None = None) -> AudioSource:
    """The source that was asked for; ``chunk_seconds`` as `open_source` takes it."""
    from stream.capture.opening import open_source
    from stream.cli.quiet import quieten_portaudio
    from stream.installation import asset

    quieten_portaudio()
    text = str(asset("demo.ogg")) if options.demo else options.input or options.device
    if options.device is not None and not options.device.strip():
        raise UsageError("--device '': want a number or part of a name; see --list-devices")
    return open_source(
        text,
        sample_rate=options.sample_rate,
        channel=options.channel,
        block_samples=options.block_samples,
        format=options.format,
        channels=options.channels,
        fast=options.fast,
        when_late=None if options.demo or options.input else options.when_late,  # a microphone's
        chunk_seconds=chunk_seconds,
        insecure=options.insecure,
    )


def make_json_lines(
    options: Options, model: Model, source: str, live: bool, dashboard: bool
) -> list[JsonLines]:
    """The JSON lines that were asked for: one sink or none."""
    from stream.outputs.jsonl import JsonLines
    from stream.outputs.records import Origin

    path = options.jsonl if dashboard or options.jsonl else "-"
    if path is None:
        if options.scores or options.onsets:
            raise UsageError("--scores and --onsets are for JSON lines; add --jsonl PATH")
        return []
    for name, other in (("--input", options.input), ("--model", options.model)):
        if other is not None and same_file(path, other):
            raise UsageError(f"--jsonl {path}: is the file of {name}; name another file")
    origin = Origin(source, model.card.name, model.sha256)
    # Nothing is lost where a recording, or whoever writes to standard input, waits for a slow reader.
    waits = not live or options.fast or options.input == "-"
    return [JsonLines(path, origin, live=live, onsets=options.onsets, scores=options.scores, waits=waits)]


def make_outputs(options: Options, classifier: StreamClassifier, source: SourceInfo) -> Outputs:
    """The outputs that were asked for, ready before the first sound."""
    from stream.outputs.catalogue import open_outputs
    from stream.outputs.output import OutputContext
    from stream.outputs.records import Origin

    card = classifier.model.card
    context = OutputContext(
        origin=Origin(source.name, card.name, classifier.model.sha256),
        source=source,
        labels=classifier.model.labels,
        detector=classifier.detector_spec,
        sample_rate=classifier.sample_rate,
        settings=classifier.settings,
        model_path=os.path.abspath(classifier.model.path),
    )
    return open_outputs(options.outputs, context)


def report_outputs(outputs: Outputs) -> None:
    """Say what each output delivered, and what it did not."""
    for report in outputs.reports():
        missed = f", {report.dropped + report.errors} not" if report.dropped + report.errors else ""
        log.log(
            logging.WARNING if missed else logging.INFO,
            "%s %s: %d messages delivered%s%s",
            report.name,
            report.target,
            report.delivered,
            missed,
            f" ({report.trouble})" if report.trouble else "",
        )


def same_file(output: str, path: str) -> bool:
    """Whether lines to ``output`` would go into the file at ``path``, whatever both are called."""
    try:
        found = os.fstat(1) if output == "-" else os.stat(output)
        return stat.S_ISREG(found.st_mode) and os.path.samestat(found, os.stat(path))
    except (OSError, ValueError):  # one of them is no file
        return False


@contextmanager
def stop_signals(stop: Callable[[], None], lines: list[JsonLines]) -> Iterator[None]:
    """SIGINT and SIGTERM end the source, so that the loop runs out and everything is flushed; SIGHUP reopens
    files. A second SIGINT does what it always does."""

    def ended(number: int, frame: Any) -> None:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        for each in lines:
            each.give_up()
        stop()

    def rotated(number: int, frame: Any) -> None:
        for each in lines:
            each.reopen()

    handlers: dict[int, Any] = {signal.SIGINT: ended, signal.SIGTERM: ended}
    if hasattr(signal, "SIGHUP") and lines:
        handlers[signal.SIGHUP] = rotated
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    except ClosedError:
        pass  # stopped before the first sound was asked for
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def watchdog() -> list[Sink]:
    """The watchdog that the environment asks for: one sink or none."""
    from stream.cli.notify import SystemdWatchdog

    found = SystemdWatchdog.from_environment()
    return [] if found is None else [found]


def run_plain(
    source: AudioSource, classifier: StreamClassifier, sinks: list[Sink], history_seconds: float
) -> Summary:
    """The loop on this thread, until the source ends."""
    from stream.runner import run

    return run(source, classifier, [*sinks, *watchdog()], history_seconds=history_seconds or None)


def run_dashboard(
    source: AudioSource,
    classifier: StreamClassifier,
    lines: list[JsonLines],
    outputs: Outputs,
    options: Options,
) -> None:
    """The loop on a worker thread, the dashboard on this one."""
    from stream.dashboard import Dashboard, Key
    from stream.outputs.kept import KeptSounds
    from stream.runner import Worker, run
    from stream.telemetry import Telemetry

    telemetry = Telemetry(
        classifier.model.card, source.info(), classifier.detector_spec, provider=classifier.model.provider
    )
    kept = KeptSounds(options.heard)
    sinks: list[Sink] = [*lines, telemetry, kept, outputs, *watchdog()]
    seconds = max(HISTORY_SECONDS, outputs.history_seconds)
    worker = Worker(lambda: run(source, classifier, sinks, history_seconds=seconds))
    screen = Dashboard(telemetry, keys={"t": Key("teach", kept.keep), "n": Key("not that", kept.wrong)})
    worker.start()
    with held_back_stderr():
        try:
            screen.run(worker.is_alive, source.close)
        finally:
            source.close()
            summary = worker.finish(STOP_SECONDS)
    if screen.killed_by is not None:  # everything is put away: end as it would have
        signal.raise_signal(screen.killed_by)
    if options.screenshot:
        screen.save_svg(options.screenshot)
    if summary is None:
        log.warning("the source did not stop in time; it was left behind")
    else:
        show_closing(telemetry.read(), summary, classifier.sample_rate)
        _report(summary, source, classifier.sample_rate, closed=True)
    for line in teaching_lines(kept, options.model):
        show(line)


def teaching_lines(kept: KeptSounds, model: str) -> list[str]:
    """What to do with the sounds that were kept by a key."""
    output = model if model.endswith(".onnx") else "mine.onnx"
    lines = []
    if kept.kept:
        sounds = f"{len(kept.kept)} sound{'s' * (len(kept.kept) != 1)} kept"
        lines.append(f"{sounds}: stream-classify teach NAME --clips {kept.folder} -o {output} --listen")
    if kept.wrong_ones:
        wrong = f"{len(kept.wrong_ones)} wrong event{'s' * (len(kept.wrong_ones) != 1)} kept"
        lines.append(f"{wrong}: stream-classify teach --not {kept.wrong_ones[0].parent} -o {output} --listen")
    return lines


def show_closing(readings: Readings | None, summary: Summary, sample_rate: int) -> None:
    """Leave on the terminal what was heard: the events of ``readings``, if they are not there already, and totals."""
    from stream.outputs.people import closing_lines

    events = () if readings is None else readings.events
    began = () if readings is None else readings.began
    for line in closing_lines(
        events,
        began={event.id: at for event, at in zip(events, began, strict=True)},
        count=summary.events,
        seconds=summary.end / sample_rate,
        lost_seconds=summary.lost / sample_rate,
    ):
        show(line)


def show(line: str) -> None:
    """A line on standard output, in the characters that it has."""
    encoding = sys.stdout.encoding or "ascii"
    print(line.encode(encoding, "replace").decode(encoding), flush=True)


def is_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout is not None and sys.stdout.isatty()


def terminal_can_draw() -> bool:
    """Whether standard output is a terminal that can move its cursor; rich is not imported to say no."""
    if not is_terminal():
        return False
    from rich.console import Console

    from stream.dashboard import Dashboard

    return Dashboard.suits(Console())


@contextmanager
def held_back_stderr() -> Iterator[None]:
    """Keep everything off the screen while it is drawn, and print it afterwards: our log, and what PortAudio's and
    decoders' own threads write to file descriptor 2 behind Python's back."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(shown, 2)
            os.close(shown)
            held.seek(0)
            for line in held.read().decode(errors="replace").splitlines():
                say(line)


def _report(summary: Summary, source: AudioSource, sample_rate: int, *, closed: bool, said: str = "") -> None:
    """Say on stderr what a user must know about a run that is over.

    Args:
        summary: of the run.
        source: what was heard.
        sample_rate: of the classifier.
        closed: what `show_closing` says is said.
        said: hints that were given before.
    """
    if summary.rows == 0:
        say("stream-classify: nothing was classified: too little sound came")
    if summary.lost and not closed:
        log.warning("%.3g s of sound were lost or missing on the way", summary.lost / sample_rate)
    report = source.report()
    if report.truncated:
        log.warning("%s", report.truncated)
    for hint in report.hints:
        if hint not in said:
            log.warning("%s: %s", source.info().name, hint)
    log.info(
        "%d rows, %d events, %d samples repaired, %.2f s of computing",
        summary.rows,
        summary.events,
        summary.repaired,
        summary.busy_seconds,
    )


def _report_lines(lines: list[JsonLines], *, must_be_whole: bool) -> None:
    """Say how many lines were lost.

    Raises:
        OutputError: some were, and ``must_be_whole``.
    """
    for each in lines:
        if each.dropped and must_be_whole:
            raise OutputError(
                f"output {each.path}: {each.dropped} lines were lost; make room, or name another file, and run again"
            )
        if each.dropped:
            log.warning("%s: %d lines were lost in all", each.path, each.dropped)
