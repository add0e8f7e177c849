"""What systemd says. Nothing here changes anything, but for `run` with a verb that does."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from stream.errors import UsageError
from stream.printable import printable
from stream.service.unit_text import Scope

BOOTED = Path("/run/systemd/system")  # is there where systemd is the first process
SECONDS = 60.0  # that systemd's tools get to answer


def check_booted(command: str) -> None:
    """Refuse a machine that systemd does not run.

    Args:
        command: what a service would run, for other ways to keep it alive.

    Raises:
        UsageError: systemd does not run here.
    """
    if not BOOTED.is_dir():
        raise UsageError(
            "this machine is not run by systemd (no /run/systemd/system): in a container let its engine restart it, "
            "on WSL put systemd=true under [boot] in /etc/wsl.conf, elsewhere let your supervisor run: "
            + command
        )


def check_unit(name: str, text: str, scope: Scope) -> bool:
    """Let ``systemd-analyze verify`` read a unit before it is written.

    Returns:
        Whether it was read; False where there is no such program.

    Raises:
        UsageError: systemd would not take it, with its words.
    """
    if shutil.which("systemd-analyze") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_text(text, encoding="utf-8")
        environ = dict(os.environ)
        environ.setdefault("XDG_RUNTIME_DIR", folder)  # without a session there is none, and verify wants one
        words = ["systemd-analyze", "verify", f"--{scope}", "--man=no", str(file)]
        done = _answer(words, environ)
        about_it = [line.replace(f"{folder}/", "") for line in done.stderr.splitlines() if name in line]
        if about_it:
            raise UsageError(f"systemd does not take this unit: {printable('; '.join(about_it))}")
    return True


def run(scope: Scope, *words: str) -> subprocess.CompletedProcess[str]:
    """``systemctl`` with these words.

    Raises:
        UsageError: it is not there, or does not answer.
    """
    return _answer(["systemctl", *(["--user"] if scope == "user" else []), *words])


def states(scope: Scope, name: str) -> dict[str, str]:
    """How a unit stands: ``ActiveState``, ``SubState``, ``UnitFileState``, ``Result`` and ``NRestarts``.

    Raises:
        UsageError: systemd cannot be asked.
    """
    wanted = "ActiveState,SubState,UnitFileState,Result,NRestarts"
    done = run(scope, "show", name, "--property", wanted)
    if done.returncode:
        raise UsageError(
            f"systemctl: {printable(_last_line(done.stderr))}; is a user logged in, and not just su?"
        )
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def demand(scope: Scope, *words: str) -> None:
    """``systemctl``, which must succeed.

    Raises:
        UsageError: it did not.
    """
    done = run(scope, *words)
    if done.returncode:
        raise UsageError(f"systemctl {' '.join(words)}: {printable(_last_line(done.stderr))}")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it failed, without a word"])[-1]


def _answer(words: list[str], environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=SECONDS, env=environ, check=False
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"{words[0]} does not answer") from None
    except OSError as error:
        raise UsageError(f"{words[0]}: cannot be run: {error.strerror}") from None
