"""The machine and the packages that figures were taken with."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from stream.features.kernel import kernel_name
from stream.features.spec import FeatureSpec

PACKAGES = [
    "numpy",
    "onnxruntime",
    "soundfile",
    "soxr",
    "librosa",
    "kaldi-native-fbank",
    "silero-vad",
    "torch",
]


def machine(spec: FeatureSpec) -> dict[str, str]:
    """CPU, cores this process may use, load, system, what computes these features, and versions of what was timed."""
    found = {
        "cpu": _cpu(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
        "system": f"{platform.system()} {platform.release()}",
        "features": kernel_name(spec),
        "python": platform.python_version(),
    }
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
