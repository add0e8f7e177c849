"""Environment: versions of all that takes part, and where models can run."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

from stream._version import __version__
from stream.errors import BackendMissing, DeviceError

PACKAGES = ("sounddevice", "pulsectl", "msgspec", "click", "rich", "av", "paho-mqtt", "torch")


def environment() -> dict[str, str]:
    """What is installed, beside what `stream.bench.machine.machine` says."""
    import onnxruntime
    import soundfile

    found = {
        "stream-classify": __version__,
        "executable": sys.executable,
        "providers": ", ".join(onnxruntime.get_available_providers()),
        "libsndfile": soundfile.__libsndfile_version__,
        "PortAudio": _portaudio(),
    }
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _portaudio() -> str:
    from stream.capture.device.portaudio import portaudio

    try:
        with portaudio() as sounddevice:
            return str(sounddevice.get_portaudio_version()[1])
    except (BackendMissing, DeviceError) as error:
        return str(error)
