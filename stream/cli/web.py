"""``--web``: the page of a station for the one source of the plain command."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from stream.cli.say import say

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from stream.classifier import StreamClassifier
    from stream.cli.resolving import Options
    from stream.messages import SourceInfo
    from stream.outputs.outputs import Outputs
    from stream.outputs.sink import Sink
    from stream.server.beside import ServedBeside
    from stream.telemetry import Telemetry
    from stream.tuning import Tuning

HOST = "127.0.0.1"  # this machine alone: nobody is asked for a token
DEFAULT_PORT = 8765  # of `serve` too
MOST_STREAMS = 8  # of browsers' microphones
DRAIN_SECONDS = 1.0
LONGEST_NAME = 64


class WebPage:
    """The page, made in three steps: the port is taken first, so that one that is taken is told before all else.

    Args:
        port: to listen on; 0 takes a free one.

    Attributes:
        address: of the page.

    Raises:
        UsageError: the extra is missing, or the port is taken.
    """

    def __init__(self, port: int) -> None:
        from stream.cli.serve import address, refuse_missing_parts

        refuse_missing_parts("--web")
        from stream.server.serving import bind

        self._listener: socket.socket = bind(HOST, port, "--web")
        self.address = address(HOST, self._listener.getsockname()[1], secure=False)
        self._server: ServedBeside | None = None

    def prepare(self, classifier: StreamClassifier, info: SourceInfo, options: Options) -> Sequence[Sink]:
        """Make the station; what must be among the sinks of the run, and is told what a person changes."""
        from stream.cli.models import load_model
        from stream.outputs.catalogue import all_outputs
        from stream.outputs.records import Origin
        from stream.server.station import Station
        from stream.server.station.hub_sink import HubSink

        model = classifier.model
        self._station = Station(
            (), {model.card.name: model}, load=lambda name, provider: load_model(name, provider),
            max_streams=MOST_STREAMS,
        )  # fmt: skip
        asked = all_outputs(options.outputs, options.output_tables)
        self._history = next((str(each.target) for each in asked if each.kind == "history"), None)
        self._listens_to = info.name
        origin = Origin(source_name(info.name), model.card.name, model.sha256)
        self._sink = HubSink(self._station.hub, origin, info, model.card, classifier.labels)
        return [self._sink]

    def start(
        self, classifier: StreamClassifier, telemetry: Telemetry, tuning: Tuning, outputs: Outputs
    ) -> None:
        """Serve from now on."""
        from stream.server.access.access import Access
        from stream.server.beside import ServedBeside
        from stream.server.http.app import make_app
        from stream.server.limits import Limits
        from stream.server.station.listened import AttachedRun

        run = AttachedRun(
            self._sink, classifier.model.card, classifier.labels, telemetry=telemetry, tuning=tuning,
            listens_to=self._listens_to, outputs=outputs.reports, clips=outputs.clips, model=classifier.model.id,
            history=self._history,
        )  # fmt: skip
        self._station.attach(run)
        limits = Limits(streams=MOST_STREAMS, drain_seconds=DRAIN_SECONDS)
        app = make_app(self._station, Access(loopback_only=True, limits=limits), limits)
        self._server = ServedBeside(app, self._listener)
        self._server.start()
        say(f"stream-classify: the page is at {self.address}")

    def close(self) -> None:
        """Serve no more."""
        if self._server is None:
            self._listener.close()
        else:
            self._server.close()


def source_name(device: str) -> str:
    """The name of a device, as a source of a station may be called."""
    return re.sub(r"[^\w.-]+", " ", device).strip(" .-")[:LONGEST_NAME].strip() or "sound"
