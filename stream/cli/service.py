"""``stream-classify service``: kept running by systemd."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from stream.cli.help import TaskCommand, TaskGroup
from stream.errors import UsageError
from stream.printable import printable

if TYPE_CHECKING:
    from stream.service.unit_text import Kind, Scope, Unit

F = TypeVar("F", bound=Callable[..., Any])
EPILOG = """\b
Examples:
  stream-classify service install --settings house.toml
  stream-classify service install --now -- --device "usb mic" --jsonl heard.jsonl
  stream-classify service install --serve --settings station.toml
  stream-classify service install --dry-run
  stream-classify service status
  stream-classify service uninstall --now
"""
CHECK_SECONDS = 120.0  # that reading settings and loading models may take
NOT_LISTENING = {"--help", "-h", "--version", "--list-devices"}


def _which(function: F) -> F:
    """The options that say which unit is meant."""
    for option in (
        click.option(
            "--user/--system",
            default=True,
            help="Your own service, which reaches your microphones (default), or one of the whole machine.",
        ),
        click.option(
            "--name", metavar="NAME", help="Of the unit. Default: stream-classify, with --serve …-station."
        ),
    ):
        function = option(function)
    return function


@click.group(cls=TaskGroup, epilog=EPILOG)
def service() -> None:
    """Keep listening, or a station, running with systemd: write its unit, look at it, take it away."""


@service.command(cls=TaskCommand, epilog=EPILOG, short_help="Write the unit, and say what to type next.")
@_which
@click.option(
    "--settings",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Run with this settings file.",
)
@click.option("--serve", is_flag=True, help="Run a station: stream-classify serve.")
@click.option("--now", is_flag=True, help="Start it too, now and from now on: runs systemctl enable --now.")
@click.option("--force", is_flag=True, help="Write over a unit that this command did not write.")
@click.option("--dry-run", is_flag=True, help="Print the unit, and write nothing.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[-- OPTIONS…]")
def install(
    user: bool,
    name: str | None,
    settings: str | None,
    serve: bool,
    now: bool,
    force: bool,
    dry_run: bool,
    words: tuple[str, ...],
) -> None:
    """Write the unit, after systemd has checked it, and say what to type next.

    What stands behind -- are options of stream-classify, or with --serve of stream-classify serve, as you would type
    them here. Your own service runs in this folder, so file names mean the same; one of the system has names without
    a folder in /var/lib/stream-classify.
    """
    from stream.service import installed, systemd

    scope: Scope = "user" if user else "system"
    settings = os.path.abspath(settings) if settings else None
    arguments = [*(["serve"] if serve else []), *(["--settings", settings] if settings else []), *words]
    check_arguments(arguments)
    command = [*program(), *arguments]
    unit = _unit(command, scope, serve=serve, settings=settings)
    path = installed.unit_file(name or _default_name(serve), scope)
    text = installed.marked(unit)
    if dry_run:
        systemd.check_unit(path.name, text, scope)
        click.echo(text, nl=False)
        return
    systemd.check_booted(printable(shlex.join(command)))
    checked = systemd.check_unit(path.name, text, scope)
    installed.write_unit(path, text, force=force)
    click.echo(f"written: {printable(str(path))}")
    click.echo(f"it runs: {printable(shlex.join(command))}")
    click.echo(
        "checked: systemd-analyze verify finds nothing wrong"
        if checked
        else "not checked: no systemd-analyze"
    )
    control = "systemctl --user" if user else "sudo systemctl"
    if now:
        systemd.demand(scope, "daemon-reload")
        systemd.demand(scope, "enable", "--now", path.name)
        click.echo("started, now and whenever you log in" if user else "started, now and with the machine")
    else:
        click.echo("to start it, now and from now on, type:")
        click.echo(f"  {control} daemon-reload && {control} enable --now {path.stem}")
    if user:
        click.echo("to keep it while nobody is logged in, and from the start of the machine:")
        click.echo("  loginctl enable-linger")
    click.echo("to read what it says:")
    click.echo(f"  {'journalctl --user' if user else 'sudo journalctl'} -f -u {path.stem}")


@service.command(cls=TaskCommand, short_help="Say whether it runs.")
@_which
@click.option("--serve", is_flag=True, help="The station's.")
def status(user: bool, name: str | None, serve: bool) -> None:
    """Say whether the unit is there, enabled and running. Exit code 1 if it does not run."""
    from stream.service import installed, systemd

    scope: Scope = "user" if user else "system"
    path = installed.unit_file(name or _default_name(serve), scope)
    ours = installed.is_ours(path)
    if ours is None:
        click.echo(
            f"{printable(str(path))}: there is no such unit; stream-classify service install writes one"
        )
        sys.exit(1)
    whose = "written by stream-classify service install" if ours else "not written by this command"
    click.echo(f"{printable(str(path))}: {whose}")
    systemd.check_booted("stream-classify")
    found = systemd.states(scope, path.name)
    running = found.get("ActiveState") in ("active", "reloading")
    restarts = found.get("NRestarts", "0")
    click.echo(
        f"{found.get('ActiveState', 'unknown')} ({found.get('SubState', 'unknown')}), "
        f"{found.get('UnitFileState') or 'not enabled'}, restarted {restarts} times, last result: "
        f"{found.get('Result', 'unknown')}"
    )
    sys.exit(0 if running else 1)


@service.command(cls=TaskCommand)
@_which
@click.option("--serve", is_flag=True, help="The station's.")
def show(user: bool, name: str | None, serve: bool) -> None:
    """Print the unit as it lies on the disk."""
    from stream.service import installed

    path = installed.unit_file(name or _default_name(serve), "user" if user else "system")
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(
            f"{printable(str(path))}: cannot be read: {error.strerror}; stream-classify service install writes it"
        ) from None
    for line in text.splitlines():
        click.echo(printable(line))


@service.command(cls=TaskCommand, short_help="Remove the unit.")
@_which
@click.option("--serve", is_flag=True, help="The station's.")
@click.option("--now", is_flag=True, help="Stop it first: runs systemctl disable --now.")
@click.option("--force", is_flag=True, help="Also a unit that this command did not write.")
def uninstall(user: bool, name: str | None, serve: bool, now: bool, force: bool) -> None:
    """Remove the unit, and the link by which it was enabled. What it has written stays."""
    from stream.service import installed, systemd

    scope: Scope = "user" if user else "system"
    path = installed.unit_file(name or _default_name(serve), scope)
    if now and installed.is_ours(path) is not None:
        systemd.demand(scope, "disable", "--now", path.name)
    installed.remove_unit(path, force=force)
    click.echo(f"removed: {printable(str(path))}")
    control = "systemctl --user" if user else "sudo systemctl"
    if now:
        systemd.demand(scope, "daemon-reload")
    else:
        click.echo("if it runs, it runs on until you type:")
        click.echo(f"  {control} stop {path.stem}; {control} daemon-reload")


def program() -> list[str]:
    """The words that start this very installation from anywhere."""
    script = Path(sys.executable).parent / "stream-classify"
    if os.access(script, os.X_OK):
        return [str(script)]
    return [sys.executable, "-m", "stream"]


def _default_name(serve: bool) -> str:
    return "stream-classify-station" if serve else "stream-classify"


def _unit(command: list[str], scope: Scope, *, serve: bool, settings: str | None) -> Unit:
    from stream.service.unit_text import Unit, command_line, folder_line

    environment: tuple[tuple[str, str], ...] = ()
    if command[1:3] == ["-m", "stream"]:  # a checkout that was not installed
        environment = (("PYTHONPATH", str(Path(__file__).resolve().parents[2])),)
    kind: Kind = "serve" if serve else "listen"
    if scope == "user":
        return Unit(command_line(command), kind, scope, folder_line(os.getcwd()), environment)
    # The interpreter of a virtual environment is a link, often into somebody's home folder.
    for place in (command[0], os.path.realpath(sys.executable), *([settings] if settings else [])):
        _check_others_reach(Path(place).absolute())
    return Unit(command_line(command), kind, scope, "%S/stream-classify", environment)


def _check_others_reach(path: Path) -> None:
    """Refuse what a service of the system, which runs as a user of its own, cannot read."""
    way = "install in a place such as /opt/stream-classify and keep its files in /etc, or use --user"
    if path.parts[1:2] == ("tmp",) or path.parts[1:3] == ("var", "tmp"):
        raise UsageError(
            f"--system: the service has a /tmp of its own, without {printable(str(path))}; {way}"
        )
    for each in (path, *path.parents):
        mode = each.stat().st_mode
        if not mode & (stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH):
            raise UsageError(f"--system: {printable(str(each))} is closed to other users; {way}")


def check_arguments(arguments: list[str]) -> None:
    """Refuse now what the command would refuse each time that systemd starts it.

    Raises:
        UsageError: with the words of the command itself.
    """
    serve = arguments[:1] == ["serve"]
    words = arguments[1:] if serve else arguments
    if asked := NOT_LISTENING & set(words):
        raise UsageError(f"{min(asked)}: is nothing that a service could do; leave it out")
    if words and not words[0].startswith("-"):
        raise UsageError(
            f"{printable(words[0])}: a service listens or serves; give options of stream-classify, or --serve"
        )
    asking = ["serve", "--check"] if serve else ["settings"]  # read everything, and start nothing
    try:
        done = subprocess.run(
            [*program(), *asking, *words],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=CHECK_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"{shlex.join(asking)} does not end, with these options; try it yourself") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it refuses these options"])[-1]
        raise UsageError(printable(said.removeprefix("stream-classify: error: ").removeprefix("Error: ")))
