"""Mix: how scenes are made, and the mixes of the recipe: to train, to validate (hard and plain), without speech."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from export.recipes.speech_music_noise.recipe_settings import NOISE_HEARD_DB
from export.recipes.speech_music_noise.scenes.sung import Method
from export.recipes.speech_music_noise.sources.rules import Kind


@dataclass(frozen=True)
class Mix:
    """How scenes are made. Ratios are in dB, active RMS against active RMS; levels in dBFS of active RMS.

    Attributes:
        weights: what sounds together -> relative share of segments. The first kind leads.
        segment_seconds: shortest and longest segment.
        level_dbfs: of the leading source.
        ratio_db: (leading, other) -> range of the leading source over the other.
        self_noise_dbfs: the microphone's own noise; counts as silence.
        synthetic_noise: share of noise that is synthetic instead of recorded.
        sung: share of music that someone sings to (or sings alone), made from spoken clips.
        drummed: share of music that is a drum pattern, alone or with other music.
        played: share of music that is a tune of single notes, alone or with drums.
        degradations: share of scenes each effect touches: "filter", "room", "codec", "clip", "dead" (digital silence),
            "gain-control", "quiet" (all of it, the microphone's own noise too, 20 dB down).
        vary_clips: whether clips are filtered, sped up and shaped one by one.
        noise_heard_db: noise that lies further under another source is not labelled while that one sounds.
        creatures, tones, bangs: share of noise that is animals and toys, horns, bells and hums, separate bangs.
        sung_by: how singing is made of spoken clips, each as often (see sung.py).
        songs: share of music that is recorded singing, where there is any.
        solo, bass: share of music that is one instrument alone, or bass music.
        openings: share of music that begins quietly and swells.
        made: share of creatures and tones that are synthetic.
        far: whether people talk in one room, some of them far away.
        short_talk: whether people say a few words and pause, so that speech begins often.
    """

    weights: dict[tuple[Kind, ...], float]
    segment_seconds: tuple[float, float] = (3.0, 15.0)
    level_dbfs: tuple[float, float] = (-40.0, -10.0)
    ratio_db: dict[tuple[Kind, Kind], tuple[float, float]] = field(default_factory=dict)
    self_noise_dbfs: tuple[float, float] = (-84.0, -60.0)
    synthetic_noise: float = 0.3
    sung: float = 0.12
    drummed: float = 0.1
    played: float = 0.1
    degradations: dict[str, float] = field(default_factory=dict)
    vary_clips: bool = True
    noise_heard_db: float = NOISE_HEARD_DB
    creatures: float = 0.0
    tones: float = 0.0
    bangs: float = 0.0
    sung_by: tuple[Method, ...] = ("vocoder",)
    songs: float = 0.0
    solo: float = 0.0
    bass: float = 0.0
    openings: float = 0.0
    made: float = 0.5
    far: bool = False
    short_talk: bool = False


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
    ratio_db=RATIOS,
    degradations={"filter": 0.5, "room": 0.45, "codec": 0.2, "clip": 0.06, "dead": 0.15},
)
HARD = Mix(
    weights={
        (): 0.14,
        ("speech",): 0.17,
        ("music",): 0.15,
        ("noise",): 0.15,
        ("speech", "music"): 0.15,
        ("speech", "noise"): 0.15,
        ("music", "noise"): 0.09,
    },
    ratio_db={
        ("speech", "music"): (0.0, 20.0),
        ("speech", "noise"): (-5.0, 20.0),
        ("music", "noise"): (-5.0, 15.0),
    },
    synthetic_noise=0.0,
    sung=0.0,
    drummed=0.0,
    played=0.0,
    degradations={"room": 0.2, "codec": 0.2, "dead": 0.15},
    vary_clips=False,
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
    level_dbfs=(-32.0, -14.0),
    ratio_db={
        ("speech", "music"): (0.0, 20.0),
        ("speech", "noise"): (-5.0, 20.0),
        ("music", "noise"): (-5.0, 15.0),
    },
    synthetic_noise=0.0,
    sung=0.0,
    drummed=0.0,
    played=0.0,
    degradations={"dead": 0.1},
    vary_clips=False,
)
# What PLAIN is not made of: volunteers' letters and words, telephone music, bare loops.
NOT_IN_PLAIN = frozenset(
    {
        "klettres-data", "ktuberling-data", "tuxpaint-stamps-default", "commands", "digits",
        "asterisk-moh-opsound-wav", "sonic-pi-samples", "trigger-rally-data",
    }
)  # fmt: skip
# No speech: what is detected as speech here is a false alarm.
HARD_NO_SPEECH = Mix(
    weights={(): 0.1, ("music",): 0.45, ("noise",): 0.35, ("music", "noise"): 0.1},
    segment_seconds=(10.0, 40.0),
    ratio_db=RATIOS,
    synthetic_noise=0.0,
    sung=0.0,
    drummed=0.0,
    played=0.0,
    degradations={"room": 0.2, "codec": 0.2},
    vary_clips=False,
)
PLAIN_NO_SPEECH = replace(HARD_NO_SPEECH, level_dbfs=PLAIN.level_dbfs, degradations={})
