"""Mix: how scenes are made, and the mixes of the recipe: to train, to validate (hard and plain), without speech."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from export.recipes.speech_music_noise.sources.rules import Kind


@dataclass(frozen=True)
class Mix:
    """How scenes are made. Ratios are in dB, active RMS against active RMS; levels in dBFS of active RMS.

    Attributes:
        weights: what sounds together -> relative share of segments. The first kind leads.
        seconds: shortest and longest segment.
        level: of the leading source.
        ratio: (leading, other) -> range of the leading source over the other.
        floor: the microphone's own hiss, dBFS; counts as silence.
        made_noise: share of noise made by rule instead of recorded.
        sung: share of music that somebody sings to (or sings alone), made from spoken clips.
        drummed: share of music that is a drum pattern, alone or with other music.
        played: share of music that is a tune of single notes, alone or with drums.
        damage: share of scenes each effect touches: "filter", "room", "codec", "clip", "dead" (digital silence).
        vary: whether clips are filtered, sped up and shaped one by one.
    """

    weights: dict[tuple[Kind, ...], float]
    seconds: tuple[float, float] = (3.0, 15.0)
    level: tuple[float, float] = (-40.0, -10.0)
    ratio: dict[tuple[Kind, Kind], tuple[float, float]] = field(default_factory=dict)
    floor: tuple[float, float] = (-84.0, -60.0)
    made_noise: float = 0.3
    sung: float = 0.12
    drummed: float = 0.1
    played: float = 0.1
    damage: dict[str, float] = field(default_factory=dict)
    vary: bool = True


RATIOS: dict[tuple[Kind, Kind], tuple[float, float]] = {
    ("speech", "music"): (-5.0, 20.0),
    ("speech", "noise"): (-5.0, 20.0),
    ("music", "noise"): (-8.0, 20.0),
}
TRAIN = Mix(
    weights={
        (): 0.08,
        ("speech",): 0.16,
        ("music",): 0.13,
        ("noise",): 0.16,
        ("speech", "music"): 0.16,
        ("speech", "noise"): 0.16,
        ("music", "noise"): 0.11,
        ("speech", "music", "noise"): 0.04,
    },
    ratio=RATIOS,
    damage={"filter": 0.5, "room": 0.45, "codec": 0.2, "clip": 0.06, "dead": 0.15},
)
VALIDATION = Mix(
    weights={
        (): 0.14,
        ("speech",): 0.17,
        ("music",): 0.15,
        ("noise",): 0.15,
        ("speech", "music"): 0.15,
        ("speech", "noise"): 0.15,
        ("music", "noise"): 0.09,
    },
    ratio={
        ("speech", "music"): (0.0, 20.0),
        ("speech", "noise"): (-5.0, 20.0),
        ("music", "noise"): (-5.0, 15.0),
    },
    made_noise=0.0,
    sung=0.0,
    drummed=0.0,
    played=0.0,
    damage={"room": 0.2, "codec": 0.2, "dead": 0.15},
    vary=False,
)
# The same without hardship: professional speakers (one of them at 8 kHz) and actors, no rooms, codecs or whispers.
PLAIN = Mix(
    weights={
        (): 0.14,
        ("speech",): 0.18,
        ("music",): 0.15,
        ("noise",): 0.13,
        ("speech", "music"): 0.17,
        ("speech", "noise"): 0.17,
        ("music", "noise"): 0.06,
    },
    level=(-32.0, -14.0),
    ratio={
        ("speech", "music"): (0.0, 20.0),
        ("speech", "noise"): (-5.0, 20.0),
        ("music", "noise"): (-5.0, 15.0),
    },
    made_noise=0.0,
    sung=0.0,
    drummed=0.0,
    played=0.0,
    damage={"dead": 0.1},
    vary=False,
)
# What PLAIN is not made of: volunteers' letters and words, telephone music, bare loops.
NOT_PLAIN = frozenset(
    {
        "klettres-data", "ktuberling-data", "tuxpaint-stamps-default", "commands", "digits",
        "asterisk-moh-opsound-wav", "sonic-pi-samples", "trigger-rally-data",
    }
)  # fmt: skip
# Nothing that speaks: what is heard as speech here is a false alarm.
QUIET = Mix(
    weights={(): 0.1, ("music",): 0.45, ("noise",): 0.35, ("music", "noise"): 0.1},
    seconds=(10.0, 40.0),
    ratio=RATIOS,
    made_noise=0.0,
    sung=0.0,
    drummed=0.0,
    played=0.0,
    damage={"room": 0.2, "codec": 0.2},
    vary=False,
)
PLAIN_QUIET = replace(QUIET, level=PLAIN.level, damage={})
