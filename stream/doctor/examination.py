"""Examination: what is wrong with the sound that was heard, in plain words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.capture.sound_check import SoundCheck
from stream.doctor.spectrum import band_end, mains_hum, spectra
from stream.doctor.stethoscope import Heard

FULL_SCALE, FLAT_STEP = 0.98, 1e-4  # a top is cut where samples there do not differ
CLIPPED_SHARE = 5e-4  # of all samples; less is not heard
LOWEST_DBFS = -100.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: a word for scripts: "silent", "muted", "suspended", "flat", "clipping", "offset", "hum", "band", "faint",
            "channel", "lost", "missing", "device", "permission" and others that hints are called by.
        text: for people: what it is, and what to do.
    """

    kind: str
    text: str


def examine(heard: Heard, model_rate: int) -> list[Finding]:
    """What is wrong with the sound, worst first.

    Args:
        heard: some seconds of it.
        model_rate: of the model that is to hear it, Hz.
    """
    found = [*_losses(heard)]
    if not len(heard.samples):
        why = "; ".join(filter(None, heard.trouble.values()))
        text = f"{why or 'no sound arrives'}: does another program use the microphone, or hang?"
        return [Finding("silent", text), *found]
    if is_flat(heard.samples):
        return [
            Finding(
                "flat",
                "every sample is the same: a muted microphone, a missing permission, or a device that is no "
                "microphone; unmute it, allow this program to record, or choose another --device",
            ),
            *found,
        ]
    if share := clipped_share(heard.samples):
        found.append(
            Finding(
                "clipping",
                f"{100 * share:.2g} % of the sound is cut off at full scale: turn the microphone's gain down",
            )
        )
    found += _oddities(heard)
    power = spectra(heard.samples, heard.source.sample_rate)
    if hum := mains_hum(power):
        mains, level = hum
        found.append(
            Finding(
                "hum",
                f"the mains hum at {mains} Hz and its multiples, {level:.0f} dBFS: use another socket or cable, or "
                "keep the microphone away from power supplies",
            )
        )
    end = band_end(power)
    if end is not None and end < 0.45 * model_rate:
        found.append(
            Finding(
                "band",
                f"nothing is heard above {end:.0f} Hz, though the device records at {heard.source.sample_rate} Hz "
                f"and the model hears up to {model_rate // 2} Hz: a headset in telephone quality? choose "
                "another profile or device",
            )
        )
    return found


def is_flat(samples: NDArray[np.float32]) -> bool:
    """Whether nearly all samples are one value."""
    return bool(np.mean(samples == np.median(samples)) > 0.95)


def clipped_share(samples: NDArray[np.float32]) -> float:
    """The share of samples in flat tops at full scale; 0 where it is not worth a word."""
    high = (np.abs(samples[1:]) >= FULL_SCALE) & (np.abs(np.diff(samples)) < FLAT_STEP)
    cut = high[1:] & high[:-1]  # three alike in a row
    share = float(cut.mean()) if len(cut) else 0.0
    return share if share > CLIPPED_SHARE else 0.0


def level_dbfs(samples: NDArray[np.float32]) -> float:
    """Root mean square, dB below full scale."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return max(LOWEST_DBFS, 10 * float(np.log10(power))) if power > 0 else LOWEST_DBFS


def _losses(heard: Heard) -> list[Finding]:
    found = []
    rate = heard.source.sample_rate
    if heard.lost:
        found.append(
            Finding(
                "lost",
                f"{1000 * heard.lost / rate:.3g} ms of sound were lost on the way (overruns): stop other programs, try "
                "--block-samples 1024, another USB port, or --model small",
            )
        )
    if heard.missing:
        found.append(
            Finding("missing", f"{heard.missing} samples were no numbers: the driver or the source is broken")
        )
    for state in ("recovering", "failed"):
        if state in heard.trouble:
            found.append(
                Finding("device", f"the source was gone for a while: {heard.trouble[state] or state}")
            )
    return found


def _oddities(heard: Heard) -> list[Finding]:
    """What the sound check of every source says, without its long wait for certainty."""
    check = SoundCheck(heard.source.sample_rate, 1)
    check.mono(heard.samples[:, None])
    check.finish()
    named = dict(check.found)
    for hint in heard.hints:
        if hint not in named.values():
            named.setdefault("cancel" if "cancel" in hint else "odd", hint)
    return [Finding(kind, text) for kind, text in named.items()]
