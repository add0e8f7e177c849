"""The language of the scripted microphone: what plays, and what goes wrong when.

::

    sim:MATERIAL[?ITEM[&ITEM]...]

MATERIAL is an audio file, or ``tone``, ``noise`` or ``silence`` (a file of that name is ``./tone``). Its name
ends at the first ``?``. Each ITEM is an event, a parameter of the event before it, or a setting.

========================  ==============================================================================
event                     what happens, and its parameters with their defaults
========================  ==============================================================================
``unplug@TIME``           the device is gone and comes back: ``for=1s``
``xrun@TIME``             samples are lost at once, without a word: ``n=512``
``zeros@TIME``            exact zeros: ``for=1s``
``flat@TIME``             the same value over and over: ``for=1s``
``nan@TIME``              samples that are no numbers: ``for=10ms``
``clip@TIME``             louder, and cut at full scale: ``for=1s``, ``gain=20dB``
========================  ==============================================================================

========================  ==============================================================================
setting                   meaning and default
========================  ==============================================================================
``rate=HZ``               the device's rate; the file's own, 16000 for built-in sounds
``drift=PPM``             the device's clock runs fast by so much (``200ppm``; slow if negative): 0
``seed=N``                of block sizes and noise: 1
``jitter=SHARE``          block sizes vary by up to this share of their mean, 0 to 1: 0.5
``loop=N``                play N times, or ``forever``: 1
``length=TIME``           of built-in sounds: 10s
``freq=HZ``               of the tone: 440
``level=DB``              peak of the tone, RMS of the noise, in dBFS: -20
========================  ==============================================================================

TIME is ``500ms``, ``10s``, ``2m`` or ``1h``; a plain number is seconds. Times are counted on the device's
sample clock from the start, lost samples included, so the sound after a loss is where it would have been
without.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from stream.errors import SpecError

BUILT_IN = ("tone", "noise", "silence")
FaultKind = Literal["unplug", "xrun", "zeros", "flat", "nan", "clip"]

_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_LONGEST = 1e9  # seconds; some 30 years
_FAULTS: dict[FaultKind, tuple[str, ...]] = {
    "unplug": ("for",),
    "xrun": ("n",),
    "zeros": ("for",),
    "flat": ("for",),
    "nan": ("for",),
    "clip": ("for", "gain"),
}
_PARAMETERS = ("for", "n", "gain")
_SETTINGS = ("rate", "drift", "seed", "jitter", "loop", "length", "freq", "level")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        kind: which.
        at: seconds from the start.
        seconds: how long; 0 for "xrun".
        samples: how many are lost; "xrun" only.
        gain_db: of "clip".
    """

    kind: FaultKind
    at: float
    seconds: float = 0.0
    samples: int = 0
    gain_db: float = 20.0

    def span(self, rate: int) -> tuple[int, int]:
        """First sample and one past the last, at ``rate`` Hz; never empty."""
        begin = round(self.at * rate)
        return begin, begin + (self.samples or max(1, round(self.seconds * rate)))


@dataclass(frozen=True, slots=True)
class Scenario:
    """A parsed ``sim:`` text; the module's docstring says what each part means. ``loop`` None means forever."""

    material: str
    faults: tuple[Fault, ...] = ()
    rate: int | None = None
    drift_ppm: float = 0.0
    seed: int = 1
    jitter: float = 0.5
    loop: int | None = 1
    length: float = 10.0
    freq: float = 440.0
    level_db: float = -20.0

    @property
    def built_in(self) -> bool:
        return self.material in BUILT_IN

    @classmethod
    def parse(cls, text: str) -> Scenario:
        """The scenario that ``text`` writes down, with or without its ``sim:``.

        Raises:
            SpecError: what cannot be understood, and what could stand there.
        """
        material, _, rest = text.removeprefix("sim:").partition("?")
        if not material:
            raise SpecError(
                f"{text!r} names nothing to play: write sim:FILE, or one of sim:{', sim:'.join(BUILT_IN)}"
            )
        faults: list[tuple[FaultKind, str, dict[str, str]]] = []
        settings: dict[str, str] = {}
        for item in rest.split("&") if rest else ():
            kind = next((k for k in _FAULTS if item.startswith(f"{k}@")), None)
            key, equals, value = item.partition("=")
            if kind is not None:
                faults.append((kind, item[len(kind) + 1 :], {}))
                continue
            if not equals or key not in (*_PARAMETERS, *_SETTINGS):
                raise SpecError(
                    f"sim: {item!r} is not known: events are {'@TIME, '.join(_FAULTS)}@TIME; their "
                    f"parameters {', '.join(_PARAMETERS)}; settings {', '.join(_SETTINGS)}"
                )
            target = settings
            if key in _PARAMETERS:
                if not faults or key not in _FAULTS[faults[-1][0]]:
                    takers = ", ".join(k for k, takes in _FAULTS.items() if key in takes)
                    raise SpecError(f"sim: {item!r} must follow an event that takes it: {takers}")
                target = faults[-1][2]
            if key in target:
                raise SpecError(f"sim: {item!r} sets {key} a second time: leave one")
            target[key] = value
        return cls(material, tuple(_fault(*found) for found in faults), **_settings(settings, material))


def _fault(kind: FaultKind, at: str, given: dict[str, str]) -> Fault:
    where = f"{kind}@{at}"
    when = _seconds(where, at)
    if kind == "xrun":
        return Fault(kind, when, samples=_integer(f"{where}&n", given.get("n", "512"), 1, 10**9))
    seconds = _seconds(f"{where}&for", given.get("for", "10ms" if kind == "nan" else "1s"))
    if seconds <= 0:
        raise SpecError(f"sim: {where}&for={given['for']} lasts no time: use more than 0")
    gain = _number(f"{where}&gain", given.get("gain", "20dB"), "dB", 0.0, 120.0)
    return Fault(kind, when, seconds, gain_db=gain)


def _settings(given: dict[str, str], material: str) -> dict[str, Any]:
    """The constructor's arguments for the settings that were written."""
    for key, users in {"length": BUILT_IN, "freq": ("tone",), "level": ("tone", "noise")}.items():
        if key in given and material not in users:
            raise SpecError(f"sim: {key}= does not apply to {material!r}: it belongs to {', '.join(users)}")
    out: dict[str, Any] = {}
    for key, value in given.items():
        if key == "rate":
            out["rate"] = _integer(key, value.removesuffix("Hz"), 1_000, 768_000)
        elif key == "drift":
            out["drift_ppm"] = _number(key, value, "ppm", -10_000.0, 10_000.0)
        elif key == "seed":
            out["seed"] = _integer(key, value, 0, 2**63 - 1)
        elif key == "jitter":
            out["jitter"] = _number(key, value, "", 0.0, 1.0)
        elif key == "loop":
            out["loop"] = None if value == "forever" else _integer(key, value, 1, 10**9)
        elif key == "length":
            out["length"] = _seconds(key, value)
        elif key == "freq":
            out["freq"] = _number(key, value, "Hz", 0.0, 384_000.0)
        else:
            out["level_db"] = _number(key, value, "dB", -200.0, 0.0)
    if out.get("length", 1.0) == 0.0:
        raise SpecError("sim: length=0 is nothing to play: use more than 0")
    return out


def _seconds(where: str, text: str) -> float:
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)(ms|s|m|h|)", text, re.ASCII)
    seconds = float(found[1]) * _UNITS[found[2]] if found else math.inf
    if seconds > _LONGEST:
        raise SpecError(f"sim: {where}: {text!r} is not a time: write 500ms, 10s, 2m or 1h")
    return seconds


def _number(where: str, text: str, unit: str, low: float, high: float) -> float:
    digits = text.removesuffix(unit)
    value = float(digits) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", digits, re.ASCII) else math.nan
    if not low <= value <= high:
        raise SpecError(
            f"sim: {where}={text} is out of range: use a number from {low:g} to {high:g} {unit}".rstrip()
        )
    return value


def _integer(where: str, text: str, low: int, high: int) -> int:
    value = int(text) if re.fullmatch(r"\d{1,20}", text, re.ASCII) else low - 1
    if not low <= value <= high:
        raise SpecError(f"sim: {where}={text} is out of range: use a whole number from {low} to {high}")
    return value
