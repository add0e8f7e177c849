"""Microphones as the doctor sees them: what there is, what the sound server does with one, and who may record."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from stream.capture.device.lookup import SOUND_SERVER, DeviceInfo, list_devices, named_sources
from stream.capture.device.sound_server import ServerSource, server_sources
from stream.doctor.examination import Finding

_SOUND_DEVICES = Path("/dev/snd")
_THROUGH_THE_SERVER = ("pulse", "pipewire", "default", "sysdefault")


def input_devices() -> tuple[DeviceInfo, ...]:
    """All that can record, the sound server's sources last.

    Raises:
        BackendMissing, DeviceError: see `list_devices`.
    """
    found = tuple(device for device in list_devices() if device.max_input_channels)
    return found + named_sources(found)


def server_source(device: DeviceInfo) -> ServerSource | None:
    """The sound server's source behind a device; None where it is none of the server's."""
    if not device.source and device.name not in _THROUGH_THE_SERVER:
        return None
    for source in server_sources():
        if source.name == device.source or (not device.source and source.is_default):
            return source
    return None


def server_state(source: ServerSource) -> list[Finding]:
    """Why the sound server gives nothing of a source that is being recorded from."""
    found = []
    if source.is_muted:
        text = f"{source.description} is muted: pactl set-source-mute {source.name} 0"
        found.append(Finding("muted", text))
    if source.is_suspended:
        text = (
            f"{source.description} is suspended by the {SOUND_SERVER}: pactl suspend-source {source.name} 0"
        )
        found.append(Finding("suspended", text))
    return found


def permissions() -> dict[str, str]:
    """Who may record here, as far as that can be asked."""
    if sys.platform == "darwin":
        return {
            "microphone": "cannot be asked; zeros mean no: System Settings, Privacy & Security, Microphone, allow this "
            "terminal, then start it anew"
        }
    if sys.platform == "win32":
        return {
            "microphone": "cannot be asked; zeros mean no: Settings, Privacy, Microphone, allow desktop apps"
        }
    found = {"sound server": "yes" if server_sources() else "none that answers"}
    if not _SOUND_DEVICES.is_dir():
        found["sound cards"] = f"no {_SOUND_DEVICES}: no sound card, or a container that is given none"
        return found
    cards = [path for path in sorted(_SOUND_DEVICES.glob("pcm*c")) if not os.access(path, os.R_OK | os.W_OK)]
    found["sound cards"] = "may be opened" if not cards else f"{cards[0]} may not be opened"
    found["group audio"] = "yes" if _in_group_audio() else "no"
    return found


def missing_permission() -> list[Finding]:
    """Why there is no microphone, where permissions are the reason."""
    found = permissions()
    if found.get("group audio") == "no" and "not be opened" in found.get("sound cards", ""):
        return [
            Finding(
                "permission",
                'sound cards may not be opened: sudo usermod -aG audio "$USER", then log in again',
            )
        ]
    return []


def _in_group_audio() -> bool:
    if sys.platform == "win32":
        return True
    import grp

    try:
        return grp.getgrnam("audio").gr_gid in (*os.getgroups(), os.getegid()) or os.geteuid() == 0
    except KeyError:  # there is no such group
        return True
