"""The command line: arguments in, objects made, run. Exit codes and hints live here and nowhere else."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

_CODES = {  # exit codes by error class; 2 is also click's for a wrong option
    "UsageError": 2,
    "SpecError": 2,
    "SourceError": 3,
    "DeviceError": 4,
    "ModelError": 5,
    "ProviderUnavailable": 6,
    "OutputError": 7,
    "ExportError": 8,
}


# Read by libraries when they start, so set before they are imported; what a user has set already stays.
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # nothing here gains from a threaded BLAS; its threads spin between calls
    "SOXR_MIN_DFT_SIZE": "8",  # the shortest blocks, and so the shortest delay: see stream/features/resample.py
    "SOXR_LARGE_DFT_SIZE": "8",
    # Ray reports nothing to its makers, and does not write about its processes onto our output: we say what failed.
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
}


def exit_code(error: BaseException) -> int:
    """The exit code of an error: that of its nearest listed class, else 1."""
    for kind in type(error).__mro__:
        if kind.__name__ in _CODES:
            return _CODES[kind.__name__]
    return 1


def main(argv: list[str] | None = None) -> None:
    """Entry point of ``stream-classify``. Ends with sys.exit; users never see a traceback for what they did."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)

    import click

    from stream.cli.app import app
    from stream.cli.commands import INTERRUPTED
    from stream.cli.say import say, set_up_last_resort, set_up_warnings
    from stream.errors import StreamClassifyError

    set_up_last_resort()
    set_up_warnings()
    try:
        # Not standalone: click would print an error of its own kind in four lines.
        ended = app.main(args=argv, prog_name="stream-classify", standalone_mode=False)
    except StreamClassifyError as error:
        say(f"stream-classify: error: {error}")
        sys.exit(exit_code(error))
    except click.exceptions.NoArgsIsHelpError as error:  # "service" alone: its help, as click shows it
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        say(f"stream-classify: error: {told(error)}")
        sys.exit(error.exit_code)
    except click.Abort as error:
        say("stream-classify: stopped before it was done")
        sys.exit(INTERRUPTED if isinstance(error.__cause__, KeyboardInterrupt) else 1)
    sys.exit(ended if isinstance(ended, int) else 0)


def told(error: click.ClickException) -> str:
    """What click says of an error, in one line; of a wrong use with the way to the right one."""
    text = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    if context is None:
        return text
    return f"{text.removesuffix('.')}; see {context.command_path} --help"
