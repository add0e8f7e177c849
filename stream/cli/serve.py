"""``stream-classify serve``: a station behind an HTTP address."""

from __future__ import annotations

import gc
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from stream.cli.cluster import check_ray, replicas_of, serve_on_ray
from stream.cli.completion import complete_model
from stream.cli.help import TaskCommand, section
from stream.cli.patience import interruptible
from stream.cli.say import say, set_up_log
from stream.errors import UsageError
from stream.printable import printable

if TYPE_CHECKING:
    from stream.inference.session import Model
    from stream.server.cluster.plan import ClusterPlan
    from stream.server.limits import Limits
    from stream.server.station import Station
    from stream.server.station.station_file import StationSettings

DEFAULT_PORT = 8765
EPILOG = """\b
Examples:
  stream-classify serve                                  this machine alone, port 8765
  stream-classify serve --settings station.toml
  stream-classify serve --settings station.toml --check  what it asks for, and no more
  stream-classify serve --new-token kitchen --scopes listen,read --token-file tokens
  stream-classify serve --host 0.0.0.0 --token-file tokens --tls-cert cert.pem --tls-key key.pem
  stream-classify serve --token-file tokens --trust-proxy 127.0.0.1   behind nginx or Caddy
  stream-classify serve --ray local --replicas 2..8      as many processes as the open streams need
  curl --data-binary @talk.flac http://127.0.0.1:8765/v1/classify

SIGTERM or Ctrl-C: clients are told, events end, outputs close; once more: at once. SIGHUP: settings and tokens are
read again.
"""


@click.command(cls=TaskCommand, epilog=EPILOG)
@section(
    "Where",
    click.option(
        "--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on."
    ),
    click.option(
        "--port",
        type=click.IntRange(0, 65535),
        default=DEFAULT_PORT,
        show_default=True,
        metavar="N",
        help="Port to listen on; 0 takes a free one.",
    ),
    click.option(
        "--tls-cert", type=click.Path(), metavar="FILE", help="Certificate chain, PEM: serve https."
    ),
    click.option("--tls-key", type=click.Path(), metavar="FILE", help="Its key, PEM."),
)
@section(
    "What",
    click.option(
        "-s",
        "--settings",
        type=click.Path(),
        metavar="FILE",
        help="Sources of the station, and any of these options: a TOML file, see the guide.",
    ),
    click.option(
        "-m",
        "--model",
        "models",
        multiple=True,
        metavar="FILE",
        shell_complete=complete_model,
        help="ONNX file, or the name of a bundled model; the first is what clients get who name none. Repeatable. "
        "Default: that of the settings, else default.",
    ),
    click.option(
        "--web-page/--no-page", "page", default=True, help="Also the page for people. Default: yes."
    ),
)
@section(
    "Who",
    click.option(
        "--token-file",
        type=click.Path(),
        metavar="FILE",
        help="Who may do what. Without it, only this machine is served.",
    ),
    click.option(
        "--new-token", metavar="NAME", help="Print a new token, put its hash into --token-file, and exit."
    ),
    click.option(
        "--scopes",
        default="listen,read",
        show_default=True,
        metavar="SCOPE,…",
        help="What the new token grants: listen (send sound), read (the station's events), admin (change the station).",
    ),
    click.option(
        "--allow-origin",
        "origins",
        multiple=True,
        metavar="ORIGIN",
        help="Pages of this origin may use the station too, such as https://house.example.org. Repeatable.",
    ),
    click.option(
        "--trust-proxy",
        "proxies",
        multiple=True,
        metavar="ADDRESS",
        help="Believe the forwarded headers of this proxy or network. Repeatable.",
    ),
)
@section(
    "How much",
    click.option(
        "--max-streams",
        type=click.IntRange(1, 1_000_000),
        metavar="N",
        help="Streams from outside. Default: 1000.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(0, 64),
        default=0,
        show_default=True,
        metavar="N",
        help="Processes that classify streams from outside, of each model, beside the one that talks to clients; "
        "0: that one does. For more streams than one core can hear.",
    ),
    click.option(
        "--limit",
        "limits",
        multiple=True,
        metavar="NAME=VALUE",
        help="Another bound, such as file_bytes=200MB or drain_seconds=30s; see the guide. Repeatable.",
    ),
)
@section(
    "Many machines",
    click.option(
        "--ray",
        metavar="ADDRESS|local",
        help="Serve from many processes with Ray: of the cluster at ADDRESS (auto: the one of this machine), or of a "
        "Ray of its own.",
    ),
    click.option(
        "--replicas",
        metavar="N|N..N",
        help="With --ray, how many processes; of a range as many as the open streams need. Default: 2.",
    ),
    click.option("--ray-remove", is_flag=True, help="With --ray ADDRESS, end what serves there, and exit."),
)
@click.option(
    "--check", is_flag=True, help="Read the settings, print what each source is asked for, and exit."
)
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
@click.option("--access-log", is_flag=True, help="Log every request.")
@click.pass_context
def serve(ctx: click.Context, /, **given: Any) -> None:
    """Serve streams, files and events over HTTP and WebSocket, and a page to watch them."""
    if given["new_token"] is not None:
        print_new_token(given["new_token"], given["scopes"], given["token_file"])
        return
    set_up_log(given["verbose"])
    refuse_missing_parts()
    from stream.cli.quiet import quieten_portaudio
    from stream.cli.serve_again import reloading, tell_what_needs_a_restart
    from stream.cli.serve_process import allow_connections, set_up_server_log
    from stream.cli.serve_settings import in_force, limits_in_force, make_access, server_keys, tls_files
    from stream.cli.vocabulary import source_vocabulary
    from stream.server.http.app import make_app
    from stream.server.serving import bind
    from stream.server.serving import serve as serve_app
    from stream.server.station.station_file import StationReader

    given_model = {"model": given["models"][0]} if given["models"] else {}
    reader = StationReader(source_vocabulary(), server_keys(ctx), **given_model)
    file = reader.read(given["settings"]) if given["settings"] else None
    server = {} if file is None else file.server
    options = in_force(ctx, server)
    limits = limits_in_force(options, server)
    check_ray(options, () if file is None else file.sources)
    if options["ray"] is not None:

        def plan() -> ClusterPlan:
            if file is not None:
                tell_what_needs_a_restart(ctx, file, reader.read(given["settings"]))
            return _plan(options, limits)

        serve_on_ray(plan, options)
        return
    access, tls = make_access(options, limits), tls_files(options)
    models = options["models"] or (reader.model,)
    if given["check"]:
        from stream.cli.serve_check import check_lines

        with closing(make_station(models, file, limits.streams, options["workers"])) as station:
            for line in check_lines(station):
                click.echo(line)
        return
    quieten_portaudio()
    set_up_server_log(verbose=given["verbose"], access_log=options["access_log"])
    allow_connections(limits.connections)
    with bind(options["host"], options["port"]) as listener:
        station = make_station(models, file, limits.streams, options["workers"])
        # A collection over the objects of a thousand streams takes some ten milliseconds, and finds next to nothing:
        # they are freed as they go.
        gc.set_threshold(100_000, 50, 100)
        app = make_app(station, access, limits, page=options["page"], read_source=reader.read_source)
        for line in opening_lines(listener, station, options, secure=tls is not None):
            say(line)
        serve_app(
            app,
            listener,
            tls=tls,
            access_log=options["access_log"],
            reload=reloading(ctx, access, station, reader, file),
            **_watchdog(),
        )
    say("stream-classify: ended; all events and outputs are closed")


def refuse_missing_parts(asked: str = "serve") -> None:
    """Say in one line what to install, where the extra is missing.

    Args:
        asked: what needs it.

    Raises:
        UsageError: it is.
    """
    try:
        import prometheus_client  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
    except ImportError as error:
        from stream.installation import install_command

        raise UsageError(
            f"{asked} needs {error.name}, which is not installed; run: {install_command('server')}"
        ) from None


def make_station(
    models: tuple[str, ...], file: StationSettings | None, streams: int, workers: int
) -> Station:
    """The station, with its models loaded.

    Args:
        models: names or files; the first is for streams from outside that name none.
        file: its settings.
        streams: most of one model.
        workers: processes that classify streams from outside, of each model.
    """
    from stream.cli.models import load_model
    from stream.server.station import Station

    served = load_models(models)
    sources = () if file is None else file.sources
    return interruptible(
        lambda: Station(sources, served, load=load_model, max_streams=streams, workers=workers)
    )


def load_models(names: tuple[str, ...]) -> dict[str, Model]:
    """Models for streams from outside, by the names that clients use.

    Args:
        names: of bundled models, or files.

    Raises:
        UsageError: two would have one name.
        ModelError: one cannot be used.
    """
    from pathlib import Path

    from stream.cli.models import load_model

    served: dict[str, Model] = {}
    for name in names:
        short = Path(name).stem if Path(name).suffix else name
        if short in served:
            raise UsageError(f"--model {name}: there is a model of this name already; rename the file")
        served[short] = interruptible(lambda name=name: load_model(name, "cpu"))  # type: ignore[misc]
    return served


def _plan(options: dict[str, Any], limits: Limits) -> ClusterPlan:
    """What is deployed on Ray, with tokens and models as their files are now."""
    from stream.cli.serve_settings import make_access
    from stream.server.cluster.plan import ClusterPlan

    return ClusterPlan(
        replicas=replicas_of(options),
        access=make_access(options, limits),
        limits=limits,
        models=load_models(options["models"] or ("default",)),
        page=options["page"],
    )


def opening_lines(
    listener: socket.socket, station: Station, options: dict[str, Any], *, secure: bool
) -> list[str]:
    """Where it listens, and what to try."""
    from stream.capture.device.presence import has_sound

    host, port = listener.getsockname()[:2]
    everywhere = host in ("0.0.0.0", "::")
    url = address(socket.gethostname() if everywhere else host, port, secure=secure)
    count = len(station.sources)
    sources = f", {count} source{'s' * (count != 1)}" if count else ""
    where = f"all addresses of this machine, such as {url}" if everywhere else url
    token = "" if options["token_file"] is None else "-H 'Authorization: Bearer TOKEN' "
    models = ", ".join(station.pools)
    silent = (
        "stream-classify: no sound card and no sound server here: network streams, files and browsers' microphones "
        "work, microphones of this machine do not"
    )
    return [
        *([] if has_sound() else [silent]),
        f"stream-classify: serving on {where} (model {models}{sources}); Ctrl-C ends it",
        f"stream-classify: try: curl {token}--data-binary @FILE {url}v1/classify",
    ]


def _watchdog() -> dict[str, Any]:
    """What tells systemd that the server serves, where systemd started it."""
    from stream.cli.notify import SystemdWatchdog

    watchdog = SystemdWatchdog.from_environment()
    return {} if watchdog is None else {"alive": watchdog.alive}


def address(host: str, port: int, *, secure: bool) -> str:
    """The URL of a listening socket."""
    named = f"[{host}]" if ":" in host else host
    return f"{'https' if secure else 'http'}://{named}:{port}/"


def print_new_token(name: str, scopes: str, path: str | None) -> None:
    """Print a new token, once.

    Raises:
        UsageError: nowhere to keep its hash, no such scope, or the name is taken.
    """
    from stream.server.access.tokens import SCOPES, add_token

    if path is None:
        raise UsageError("--new-token: give --token-file FILE, where its hash is kept")
    asked = [scope.strip() for scope in scopes.split(",")]
    for each in asked:
        if each not in SCOPES:
            raise UsageError(
                f"--scopes {printable(each)}: there is none of this name; there are {', '.join(SCOPES)}"
            )
    token = add_token(path, name, [scope for scope in SCOPES if scope in asked])
    click.echo(token)
    say(f"stream-classify: this is the token of {name}, shown once; its hash is in {path}")
