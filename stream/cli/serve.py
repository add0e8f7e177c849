"""``stream-classify serve``: a station behind an HTTP address."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import click

from stream.cli.completion import complete_model
from stream.cli.help import TaskCommand, section
from stream.cli.say import say, set_up_log
from stream.errors import UsageError
from stream.printable import printable

if TYPE_CHECKING:
    from stream.inference.session import Model
    from stream.server.access.access import Access
    from stream.server.limits import Limits

log = logging.getLogger(__name__)
DEFAULT_PORT = 8765
EPILOG = """\b
Examples:
  stream-classify serve                                  this machine alone, port 8765
  stream-classify serve --settings station.toml
  stream-classify serve --new-token kitchen --scopes listen,read --token-file tokens
  stream-classify serve --host 0.0.0.0 --token-file tokens --tls-cert cert.pem --tls-key key.pem
  stream-classify serve --token-file tokens --trust-proxy 127.0.0.1   behind nginx or Caddy
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
        "-m",
        "--model",
        "models",
        multiple=True,
        metavar="FILE",
        shell_complete=complete_model,
        help="ONNX file, or the name of a bundled model; the first is what clients get who name none. Repeatable. "
        "Default: default.",
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
        "--limit",
        "limits",
        multiple=True,
        metavar="NAME=VALUE",
        help="Another bound, such as file_bytes=200MB or drain_seconds=30s; see the guide. Repeatable.",
    ),
)
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
@click.option("--access-log", is_flag=True, help="Log every request.")
def serve(**options: Any) -> None:
    """Serve streams, files and events over HTTP and WebSocket, and a page to watch them."""
    if options["new_token"] is not None:
        _print_new_token(options["new_token"], options["scopes"], options["token_file"])
        return
    set_up_log(options["verbose"])
    try:
        import prometheus_client  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
    except ImportError as error:
        from stream.installation import install_command

        raise UsageError(
            f"serve needs {error.name}, which is not installed; run: {install_command('server')}"
        ) from None
    from stream.server.serving import bind, check_tls

    limits = _limits(options)
    access = _access(options, limits)
    tls = _tls(options)
    if tls is not None:
        check_tls(*tls)
    models = _load(options["models"] or ("default",))
    with bind(options["host"], options["port"]) as listener:
        _run(listener, models, access, limits, tls, options)


def _run(
    listener: Any, models: dict[str, Model], access: Access, limits: Limits, tls: Any, options: Any
) -> None:
    from stream.server.http.app import make_app
    from stream.server.serving import serve as serve_app

    host, port = listener.getsockname()[:2]
    say(f"stream-classify: serving on {address(host, port, secure=tls is not None)}; Ctrl-C ends it")
    app = make_app(_Models(models, limits), access, limits, page=options["page"])
    serve_app(app, listener, tls=tls, access_log=options["access_log"], reload=access.reload)


class _Models:
    def __init__(self, models: dict[str, Model], limits: Limits) -> None:
        from stream.server.pool import Pool

        self.pools = {name: Pool(model, max_streams=limits.streams) for name, model in models.items()}

    def start(self) -> None:
        for pool in self.pools.values():
            pool.start()

    def drain(self) -> None:
        pass

    def close(self) -> None:
        for pool in self.pools.values():
            pool.close()


def address(host: str, port: int, *, secure: bool) -> str:
    """The URL of a listening socket."""
    named = f"[{host}]" if ":" in host else host
    return f"{'https' if secure else 'http'}://{named}:{port}/"


def _print_new_token(name: str, scopes: str, path: str | None) -> None:
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


def _limits(options: dict[str, Any]) -> Limits:
    from stream.server.limits import limits_of

    values: dict[str, Any] = {}
    for text in options["limits"]:
        name, sign, value = text.partition("=")
        if not sign:
            raise UsageError(f"--limit {text!r}: want NAME=VALUE, such as file_bytes=200MB")
        values[name] = value
    if options["max_streams"] is not None:
        values["streams"] = options["max_streams"]
    return limits_of(values)


def _access(options: dict[str, Any], limits: Limits) -> Access:
    from stream.server.access.access import Access
    from stream.server.access.origins import is_loopback
    from stream.server.access.proxies import Proxies
    from stream.server.access.tokens import TokenFile

    host, path = options["host"], options["token_file"]
    if path is None and not is_loopback(host):
        raise UsageError(
            f"--host {host}: without a token file only this machine is served; make one: "
            "stream-classify serve --new-token NAME --token-file FILE"
        )
    return Access(
        None if path is None else TokenFile(path),
        origins=options["origins"],
        proxies=Proxies(options["proxies"]),
        loopback_only=is_loopback(host),
        limits=limits,
    )


def _tls(options: dict[str, Any]) -> tuple[str, str] | None:
    certificate, key = options["tls_cert"], options["tls_key"]
    if (certificate is None) != (key is None):
        raise UsageError("--tls-cert and --tls-key: give both, or none")
    return None if certificate is None else (certificate, key)


def _load(names: tuple[str, ...]) -> dict[str, Model]:
    from pathlib import Path

    from stream.cli.models import load_model
    from stream.cli.patience import interruptible

    models: dict[str, Model] = {}
    for name in names:
        short = Path(name).stem if Path(name).suffix else name
        if short in models:
            raise UsageError(f"--model {name}: there is a model of this name already; rename the file")
        models[short] = interruptible(lambda name=name: load_model(name, "cpu"))  # type: ignore[misc]
    return models
