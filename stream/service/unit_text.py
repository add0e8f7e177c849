"""The unit file as text. The files in ``assets/`` are made of the same lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from stream.errors import UsageError
from stream.printable import printable

Scope = Literal["user", "system"]
Kind = Literal["listen", "serve"]
MARKER = "# Written by stream-classify service install, which writes it anew only while this line is here."

_ESCAPES = {"\\": "\\\\", '"': '\\"', "%": "%%", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@")
_DESCRIPTION = {"listen": "what the microphone hears", "serve": "a station"}
_READY = {
    "listen": """\
# The program says READY when sound is being classified and pets the watchdog as long as its loop turns, also while
# it is looking for a microphone that was unplugged. A loop that hangs is restarted.""",
    "serve": """\
# The program says READY when it serves and pets the watchdog as long as its loop turns. A loop that hangs is
# restarted.""",
}
_RELOAD = {
    "listen": "# Log rotation: move the file away, then systemctl{user} reload.",
    "serve": "# Settings and tokens are read again: systemctl{user} reload.",
}
_STOP_SECONDS = {"listen": 5, "serve": 60}  # to end what is open; serve has drain_seconds for its clients
_FOR_A_USER = """\
NoNewPrivileges=yes
"""
# A user's microphones belong to that user's sound server: a system's unit has cameras and clients, or ALSA.
_FOR_A_SYSTEM = """\
DynamicUser=yes
SupplementaryGroups=audio
UMask=0077
CapabilityBoundingSet=
DeviceAllow=char-alsa rw
DevicePolicy=closed
NoNewPrivileges=yes
LockPersonality=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=read-only
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
"""


@dataclass(frozen=True, slots=True)
class Unit:
    """What a unit file says.

    Attributes:
        command: for ``ExecStart=``, as `command_line` gives it.
        kind: what the command does.
        scope: whether a user's manager runs it or the system's.
        folder: for ``WorkingDirectory=``, as `folder_line` gives it; "" = the manager's own choice.
        environment: variables for the command besides our own.
    """

    command: str
    kind: Kind = "listen"
    scope: Scope = "user"
    folder: str = ""
    environment: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        user = self.scope == "user"
        after = "pipewire-pulse.service pulseaudio.service" if user else "network-online.target sound.target"
        wants = "" if user else "Wants=network-online.target\n"
        variables = "".join(f"Environment={quoted(f'{n}={v}')}\n" for n, v in self.environment)
        folder = f"WorkingDirectory={self.folder}\n" if self.folder else ""
        return f"""\
[Unit]
Description=stream-classify: {_DESCRIPTION[self.kind]}
Documentation=https://pypi.org/project/stream-classify/
{wants}After={after}

[Service]
# ONNX Runtime must not write to a home folder or to the network (the program sets this too).
Environment=ORT_DISABLE_TELEMETRY=1
{variables}{_READY[self.kind]}
Type=notify
NotifyAccess=main
WatchdogSec=30
Restart=always
RestartSec=5

# %h is the home folder, %S the folder of states{" in it" * user}.
ExecStart={self.command}
{_RELOAD[self.kind].format(user=" --user" * user)}
ExecReload=/bin/kill -HUP $MAINPID
KillSignal=SIGTERM
TimeoutStopSec={_STOP_SECONDS[self.kind]}

{folder}StateDirectory=stream-classify
{_FOR_A_USER if user else _FOR_A_SYSTEM}
[Install]
WantedBy={"default.target" if user else "multi-user.target"}
"""


def command_line(words: Sequence[str]) -> str:
    """A command for ``ExecStart=`` that systemd takes apart into exactly these words.

    Args:
        words: the first is the absolute path of the program.

    Raises:
        UsageError: a word that cannot stand in a unit file.
    """
    # A colon in front: what looks like a variable in a word is none.
    return (":" if any("$" in word for word in words) else "") + " ".join(quoted(word) for word in words)


def folder_line(path: str) -> str:
    """A folder for ``WorkingDirectory=``, where systemd knows no quotes.

    Raises:
        UsageError: a folder that cannot stand in a unit file.
    """
    quoted(path)
    if path != path.strip() or path.endswith("\\") or not path.isprintable():
        raise UsageError(
            f"{printable(path)}: a unit file cannot name this folder; go to another one, or rename it"
        )
    return path.replace("%", "%%")


def quoted(word: str) -> str:
    """A word as systemd reads it: specifiers doubled, and in quotes where there is anything but plain characters.

    Raises:
        UsageError: it is no text that UTF-8 can write, or has control characters.
    """
    if any(0xD800 <= ord(each) < 0xE000 for each in word):
        raise UsageError(f"{printable(word)}: is no UTF-8, which unit files are; rename the file")
    if any(not (each.isprintable() or each in _ESCAPES) for each in word):
        raise UsageError(f"{printable(word)}: holds characters that cannot be shown; leave them out")
    if word and set(word) <= _SAFE:
        return word
    return '"' + "".join(_ESCAPES.get(each, each) for each in word) + '"'
