"""The sub-commands: our own, imported when they are called, and those that entry points add."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from traceback import walk_tb
from typing import Any

import click

from stream.cli.help import TaskGroup
from stream.cli.say import say
from stream.errors import StreamClassifyError

INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it
GROUP = "stream_classify.commands"  # of entry points: name -> a click command
_OUR_PACKAGES = {"stream", "export"}

# name -> module, attribute, the line that help shows for it
_OWN = {
    "report": ("stream.cli.history_report", "report", "Report what a history holds: a day or some days."),
    "verify": ("stream.cli.verify", "verify", "Prove that a model file works here as it did when exported."),
    "inspect": ("stream.cli.inspect", "inspect", "Print what a model file says about itself."),
    "bench": ("stream.cli.bench", "bench", "Measure the cost of a hop on this machine."),
    "review": ("stream.cli.review", "review", "Say which of the kept clips are right."),
    "soak": ("stream.cli.soak", "soak", "Push hours of sound through and certify that nothing drifts."),
    "replay": ("stream.cli.replay", "replay", "Hear a recorded session again: are the results the same?"),
    "explain": ("stream.cli.explain", "explain", "Show why there was an event in a session, or none."),
    "scan": ("stream.cli.scan", "scan", "Listen to an archive of recordings, on all cores."),
    "serve": ("stream.cli.serve", "serve", "Serve streams, files and events over HTTP and WebSocket."),
    "doctor": ("stream.cli.doctor", "doctor", "Listen, and say in plain words what is wrong."),
    "redact": ("stream.cli.redact", "redact", "Write sound without the speech in it, for other programs."),
    "service": ("stream.cli.service", "service", "Keep it running with systemd."),
    "settings": ("stream.cli.in_force", "settings", "Print what is in force, and where it comes from."),
    "schema": ("stream.cli.printing", "schema", "Print the JSON Schema of the JSON lines."),
    "completion": ("stream.cli.completion", "completion", "Print the completion script for your shell."),
}
# The same line for commands of entry points, which would have to be imported to be asked.
_SUMMARIES = {
    "data": "Look at labelled recordings before training on them.",
    "train": "Train a classifier on labelled recordings.",
    "export": "Turn a checkpoint or an offline ONNX file into a proven streaming model.",
    "evaluate": "Measure a model on labelled recordings, as it hears them live.",
    "calibrate": "Find a model's rules for a budget of false alarms.",
    "teach": "Teach a model the sound NAME from 3 to 10 examples.",
}


def added_commands() -> dict[str, EntryPoint]:
    """The commands that installed packages add: this one's training side, and those of others."""
    found = {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in _OWN}
    order = [*_SUMMARIES, *sorted(found)]
    return {name: found[name] for name in sorted(found, key=order.index)}


class CommandGroup(TaskGroup):
    """Lists commands without importing them; says what to install, or which name was meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*added_commands(), *_OWN]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _OWN:
            home, attribute, _ = _OWN[cmd_name]
            command: click.Command = getattr(import_module(home), attribute)
            return command
        entry = added_commands().get(cmd_name)
        if entry is None:
            return None
        if ctx.resilient_parsing:
            from stream.cli.completion import outline

            return outline(entry)
        try:
            command = entry.load()
        except Exception as error:
            raise _cannot_import(cmd_name, error) from None
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary(name)) for name in self.list_commands(ctx)])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        commands = [CompletionItem(name, help=summary(name)) for name in names]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise _with_suggestion(error, self, ctx) from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        command = self.get_command(ctx, name)
        if command is not None or ctx.resilient_parsing:
            return name if command else None, command, args[1:]
        if os.path.exists(name) or os.path.splitext(name)[1] or "://" in name:
            way = shlex.quote(name) if name.isprintable() else "FILE"
            raise click.UsageError(f"to listen to {name!r} say: stream-classify --input {way}")
        if name.startswith("-"):
            raise click.UsageError(
                f"{name!r} after -- is the name of a command: options come before, without --"
            )
        close = ["--help"] if name == "help" else get_close_matches(name, self.list_commands(ctx))
        raise _unknown(f"no such command {name!r}", close, ctx)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            if error.ctx is None:
                raise
            raise _with_suggestion(error, error.ctx.command, error.ctx) from None
        except (click.ClickException, click.exceptions.Exit, click.Abort, StreamClassifyError):
            raise
        except BrokenPipeError:
            # The reader of our output left (`| head`), which is no failure, as it is to click: stop quietly, and
            # keep Python from flushing into the pipe at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            ctx.exit(0)
        except KeyboardInterrupt:
            if ctx.invoked_subcommand not in added_commands():
                raise
            say(f"{ctx.invoked_subcommand}: stopped before it was done")
            ctx.exit(INTERRUPTED)
        except Exception as error:
            if ctx.invoked_subcommand not in added_commands():
                raise
            raise _cannot_import(str(ctx.invoked_subcommand), error) from None


def summary(name: str) -> str:
    """The line that help shows for a command."""
    if name in _OWN:
        return _OWN[name][2]
    return _SUMMARIES.get(name) or f"From {added_commands()[name].value.partition(':')[0]}."


def _cannot_import(command: str, error: Exception) -> Exception:
    """What to tell a user whose ``command`` lacks a package, or has one that is broken; any other fault stays as it is.

    Besides ImportError, packages with libraries of their own raise OSError and others where one of these is missing.
    """
    absent = isinstance(error, ModuleNotFoundError)
    named = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    missing = named if absent else _importing(error) or named
    if named in _OUR_PACKAGES or not (missing or isinstance(error, ImportError)):
        return error
    if command not in _SUMMARIES:
        return click.ClickException(
            f"{command} cannot be loaded: {error}; reinstall the package it comes from"
        )
    from stream.installation import install_command

    reason = " ".join(str(error).split()) or type(error).__name__
    state = "is not installed" if absent else f"cannot be imported ({reason})"
    return click.ClickException(
        f"{command} needs {missing or 'a package'}, which {state}; run: {install_command('export')}"
    )


def _importing(error: Exception) -> str:
    """The package whose module was just being imported when the error was raised; "" if none was.

    The code of a module runs in a frame of this name; frames of the import itself are not in the traceback.
    """
    for frame, _ in walk_tb(error.__traceback__):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if frame.f_code.co_name == "<module>" and package not in (*_OUR_PACKAGES, "__main__"):
            return package
    return ""


def _with_suggestion(
    error: click.NoSuchOption, command: click.Command, ctx: click.Context
) -> click.UsageError:
    """The error with the option that was meant: nearly the same letters, or the initials of its words."""
    known = {
        name.lstrip("-"): name
        for parameter in command.get_params(ctx)
        if isinstance(parameter, click.Option) and not parameter.hidden
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("--")
    }
    given = error.option_name.lstrip("-")
    initials = [
        name for name in known if "".join(word[:1] for word in name.split("-")) == given and "-" in name
    ]
    meant = [known[name] for name in initials or get_close_matches(given, known)]
    return _unknown(f"no such option {error.option_name!r}", meant, ctx)


def _unknown(text: str, meant: Sequence[str], ctx: click.Context) -> click.UsageError:
    """A name that is none; the way out is what was meant, or else the help of the command."""
    if meant:
        return click.UsageError(f"{text}; did you mean {' or '.join(meant)}?")
    return click.UsageError(text, ctx)
