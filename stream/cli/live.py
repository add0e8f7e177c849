"""Listening: make the objects the options ask for, and run them behind a dashboard or as JSON lines."""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from stream.assembly import make_classifier, make_json_lines, make_outputs, warm_up
from stream.cli.closing import report_lines, report_outputs, report_run, show_closing, teaching_lines
from stream.cli.hints import HintLog
from stream.cli.models import load_model
from stream.cli.patience import interruptible
from stream.cli.quiet import quieten_portaudio
from stream.cli.say import set_up_log
from stream.cli.screen import held_back_stderr, is_terminal, show, terminal_can_draw
from stream.cli.stopping import stop_signals
from stream.cli.web import WebPage
from stream.errors import UsageError

if TYPE_CHECKING:
    from stream.capture.source import AudioSource
    from stream.classifier import StreamClassifier
    from stream.cli.resolving import Options
    from stream.dashboard import Question
    from stream.messages import SourceInfo
    from stream.outputs.jsonl import JsonLines
    from stream.outputs.kept import KeptSounds
    from stream.outputs.outputs import Outputs
    from stream.outputs.sink import Sink
    from stream.runner import Summary
    from stream.telemetry import Telemetry
    from stream.tuning import Tuning

log = logging.getLogger("stream")
# That a worker may take to finish before the terminal is given back without it; outputs add theirs.
STOP_SECONDS = 0.8
DASHBOARD_CHUNK_SECONDS = 0.06  # where nothing waits for the sound but a screen, drawn a few times a second
NO_SOUND_KEPT = "no sound is kept: --no-audio"  # what the keys that keep sounds say then


def listen(options: Options) -> None:
    """Run until the source ends, q or Ctrl-C is pressed, or SIGTERM comes."""
    set_up_log(options.verbose)
    quieten_portaudio()
    if options.no_audio or options.no_speech:
        from stream.outputs.catalogue import refuse_sound

        refuse_sound(options.outputs, options.output_tables, all_of_it=options.no_audio)
    dashboard = options.jsonl != "-" and terminal_can_draw()
    if options.screenshot and not dashboard:
        raise UsageError(
            "--screenshot: there is no dashboard to save; run it on a terminal, without --jsonl -"
        )
    if options.screenshot:
        from stream.dashboard.svg import check_svg_path

        check_svg_path(options.screenshot)
    with ExitStack() as stack:
        web = None if options.web is None else stack.enter_context(closing(WebPage(options.web)))
        listen_to_source(options, dashboard, web)


def listen_to_source(options: Options, dashboard: bool, web: WebPage | None) -> None:
    """Load the model, open the source, and run, with a dashboard or without."""
    model = interruptible(lambda: load_model(options.model, options.provider, keep_ceiling=True))
    classifier = make_classifier(model, options)
    warm_up(classifier)  # before the microphone opens: first calls are slow
    source = interruptible(
        lambda: options.open(DASHBOARD_CHUNK_SECONDS if dashboard and not options.jsonl else None)
    )
    with closing(source):
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
        kept = make_kept(options) if dashboard else None
        outputs = make_outputs(options, classifier, info, kept)
        shown = [] if web is None else web.prepare(classifier, info, options)
        try:
            source.__enter__()  # the microphone opens only now, when all that was asked for is ready
        except BaseException:
            outputs.close()
            raise
        with stop_signals(source.close, lines):
            if dashboard:
                run_dashboard(source, classifier, lines, outputs, kept, options, web, shown)
            else:
                people: list[Sink] = []
                if options.jsonl is None and is_terminal() and not (options.scores or options.onsets):
                    from stream.outputs.people import PlainLines

                    people.append(PlainLines(show, live=info.live))
                    lines = []
                hints = HintLog(info.name)
                sinks: list[Sink] = [hints, *lines, *people, outputs]
                if web is not None:
                    telemetry, tuning = watched(classifier, info, [*lines, outputs, *shown], outputs)
                    sinks = [tuning, telemetry, *shown, *sinks]
                    web.start(classifier, telemetry, tuning, outputs)
                summary = run_plain(source, classifier, sinks, outputs.history_seconds)
                if people:
                    show_closing(None, summary, classifier.sample_rate)
                report_run(summary, source, classifier.sample_rate, closed=bool(people), said=hints.said)
            report_lines(lines, must_be_whole=options.fast)
            report_outputs(outputs)


def make_kept(options: Options) -> KeptSounds | None:
    """What the keys keep; None where no sound may be kept."""
    from stream.inference.session import bundled_card
    from stream.outputs.kept import KeptSounds

    return None if options.no_audio else KeptSounds(options.heard, reserved=bundled_card("default").labels)


def name_it(kept: KeptSounds) -> str | Question:
    """Hold what was just heard, and ask what it is called."""
    from stream.dashboard import Question

    write = kept.hold()
    return "nothing heard yet" if write is None else Question("name", write)


def next_device(source: AudioSource, telemetry: Telemetry) -> str:
    """Listen to the next microphone; what to show."""
    from stream.capture.device.microphone import Microphone
    from stream.errors import DeviceError

    if not isinstance(source, Microphone):
        return "not a microphone"
    try:
        name = source.move_to_next()
    except DeviceError as error:
        return str(error)
    telemetry.listen_to(source.info())
    return f"to {name}"


def watched(
    classifier: StreamClassifier, info: SourceInfo, told: Sequence[Sink], outputs: Outputs
) -> tuple[Telemetry, Tuning]:
    """What a screen or a page reads, and what they change. Both belong among the sinks, the second one first.

    Args:
        classifier: of the run.
        info: of its source.
        told: the other sinks, which learn what was changed.
        outputs: of the run.
    """
    from stream.telemetry import Telemetry
    from stream.tuning import Tuning

    telemetry = Telemetry(
        classifier.model.card,
        info,
        classifier.detector_spec,
        provider=classifier.model.provider,
        labels=classifier.labels,
        outputs=outputs.reports,
    )
    return telemetry, Tuning(classifier, telemetry, told, outputs.marks)


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
    kept: KeptSounds | None,
    options: Options,
    web: WebPage | None = None,
    shown: Sequence[Sink] = (),
) -> None:
    """The loop on a worker thread, the dashboard on this one."""
    from stream.dashboard import Dashboard, Key
    from stream.runner import Worker, run

    telemetry, tuning = watched(classifier, source.info(), [*lines, outputs, *shown], outputs)
    # With --no-speech it is behind the guard of the outputs, and so is the history that it reads.
    beside = [] if options.no_speech or kept is None else [kept]
    sinks: list[Sink] = [tuning, *lines, telemetry, *shown, *beside, outputs, *watchdog()]
    seconds = max([outputs.history_seconds, *(each.history_seconds for each in beside)]) or None
    worker = Worker(lambda: run(source, classifier, sinks, history_seconds=seconds))
    keys = {
        "t": Key("teach", lambda: NO_SOUND_KEPT if kept is None else name_it(kept)),
        "n": Key("not that", lambda: NO_SOUND_KEPT if kept is None else kept.wrong()),
        "k": Key("mark", tuning.mark, is_main=False),
    }
    if options.device is not None or (options.input is None and not options.demo):
        keys["d"] = Key("next device", lambda: next_device(source, telemetry), is_main=False)
    if web is not None:
        address = web.address
        keys["w"] = Key("page", lambda: f"the page is at {address}")
        web.start(classifier, telemetry, tuning, outputs)
    screen = Dashboard(telemetry, keys=keys, tuner=tuning)
    worker.start()
    with held_back_stderr():
        try:
            screen.run(worker.is_alive, source.close)
        finally:
            source.close()
            summary = worker.finish(STOP_SECONDS + outputs.closing_seconds)
    if screen.killed_by is not None:  # everything is put away: end as it would have
        signal.raise_signal(screen.killed_by)
    if options.screenshot:
        screen.save_svg(options.screenshot)
    if summary is None:
        log.warning("the source did not stop in time; it was left behind")
        outputs.close()  # what they have been told until now
    else:
        show_closing(telemetry.read(), summary, classifier.sample_rate)
        report_run(summary, source, classifier.sample_rate, closed=True)
    for line in [] if kept is None else teaching_lines(kept, options.model):
        show(line)
