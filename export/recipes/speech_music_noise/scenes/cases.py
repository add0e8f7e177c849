"""The cases that networks get wrong, each as a mix to train on and one to validate on, and the figures that matter.

The cases take turns in a third of the training streams (``TURNS``), and each is a validation of its own: rows in the
card.
The two sides share no speaker, author or recording; what is made by rule is rare in validation where recordings are at
hand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from export.recipes.speech_music_noise.scenes.mix import HARD, PLAIN, TRAIN, Mix
from export.recipes.speech_music_noise.scenes.sung import METHODS
from export.recipes.speech_music_noise.sources.rules import Kind


@dataclass(frozen=True)
class Case:
    """A kind of scene.

    Attributes:
        about: a few words.
        train: None = validation only.
        validation: how its validation streams are made.
        figures: names of the figures in its rows, as ``release.hard_cases.figures_of`` gives them.
    """

    about: str
    train: Mix | None
    validation: Mix
    figures: tuple[str, ...]


_HEARD = replace(HARD, degradations={"room": 0.2, "codec": 0.1}, level_dbfs=(-36.0, -14.0))
_Kinds = tuple[Kind, ...]
_Range = tuple[float, float]
_QUIET_NOISE_RATIOS: dict[tuple[Kind, Kind], _Range] = {
    ("speech", "noise"): (5.0, 20.0),
    ("music", "noise"): (5.0, 20.0),
}
_QUIET_NOISE: dict[_Kinds, float] = {
    ("speech",): 0.12,
    ("music",): 0.12,
    ("speech", "noise"): 0.36,
    ("music", "noise"): 0.3,
    (): 0.1,
}
_ONSETS: dict[_Kinds, float] = {("speech", "noise"): 0.5, ("speech", "music"): 0.4, ("speech",): 0.1}
_IN_ROOMS: dict[_Kinds, float] = {("speech",): 0.6, ("speech", "noise"): 0.25, (): 0.15}
_ROOM_RATIOS: dict[tuple[Kind, Kind], _Range] = {("speech", "noise"): (5.0, 25.0)}

CASES: dict[str, Case] = {
    "animals": Case(
        "barks, howls, crows, goats, squeaky toys, laughing machines",
        replace(
            TRAIN,
            weights={("noise",): 0.45, ("music", "noise"): 0.1, ("speech", "noise"): 0.2, ("speech",): 0.15, (): 0.1},
            creatures=0.85, made=0.45,
        ),
        replace(
            _HEARD,
            weights={("noise",): 0.7, ("music",): 0.12, ("music", "noise"): 0.06, (): 0.12},
            segment_seconds=(4.0, 20.0), creatures=1.0, made=0.1,
        ),
        ("speech false", "false speech an hour", "noise recall"),
    ),
    "horns": Case(
        "vehicle horns, sirens, bells, hums; music that ends over a machine",
        replace(
            TRAIN,
            weights={("noise",): 0.4, ("music", "noise"): 0.3, ("music",): 0.1, ("speech", "noise"): 0.12, (): 0.08},
            ratio_db={**TRAIN.ratio_db, ("music", "noise"): (-5.0, 15.0)},
            tones=0.85, made=0.5,
        ),
        replace(
            _HEARD,
            weights={("noise",): 0.5, ("music", "noise"): 0.25, ("music",): 0.15, (): 0.1},
            ratio_db={("music", "noise"): (-5.0, 10.0)}, tones=1.0, made=0.2,
        ),
        ("music false", "false music an hour", "noise F1", "music F1"),
    ),
    "singing": Case(
        "singing, alone and accompanied",
        replace(
            TRAIN,
            weights={("music",): 0.55, ("speech",): 0.2, ("speech", "music"): 0.12, ("music", "noise"): 0.05, (): 0.08},
            sung=0.85, sung_by=METHODS, drummed=0.02, played=0.05,
        ),
        replace(
            _HEARD, weights={("music",): 0.88, (): 0.12}, segment_seconds=(4.0, 20.0),
            songs=0.6, sung=0.75, sung_by=METHODS,
        ),
        ("speech false", "false speech an hour", "music recall"),
    ),
    "quiet-noise": Case(
        "noise 5 to 20 dB under music or speech",
        replace(
            TRAIN, weights=_QUIET_NOISE,
            ratio_db={("speech", "noise"): (5.0, 24.0), ("music", "noise"): (5.0, 24.0)},
        ),
        replace(_HEARD, weights=_QUIET_NOISE, ratio_db=_QUIET_NOISE_RATIOS),
        ("noise F1", "noise recall", "noise false"),
    ),
    "rooms": Case(
        "near and far talkers in rooms, automatic gain off and on",
        replace(
            TRAIN, weights=_IN_ROOMS, ratio_db=_ROOM_RATIOS, segment_seconds=(8.0, 30.0), far=True,
            degradations={"filter": 0.4, "codec": 0.15, "gain-control": 0.4, "quiet": 0.2},
        ),
        replace(
            PLAIN, weights=_IN_ROOMS, ratio_db=_ROOM_RATIOS, segment_seconds=(8.0, 30.0), far=True,
            self_noise_dbfs=(-84.0, -70.0), degradations={"gain-control": 0.4},
        ),
        ("speech F1", "speech recall", "speech AUC"),
    ),
    "rooms-quiet": Case(
        "the same, all of it 20 dB down",
        None,
        replace(
            PLAIN, weights=_IN_ROOMS, ratio_db=_ROOM_RATIOS, segment_seconds=(8.0, 30.0), far=True,
            self_noise_dbfs=(-84.0, -70.0), degradations={"gain-control": 0.4, "quiet": 1.0},
        ),
        ("speech F1", "speech recall", "speech AUC"),
    ),
    "onsets": Case(
        "speech that begins at 0 and -5 dB",
        replace(
            TRAIN, weights=_ONSETS, short_talk=True,
            ratio_db={("speech", "noise"): (-7.0, 3.0), ("speech", "music"): (-7.0, 3.0)},
        ),
        replace(
            _HEARD, weights=_ONSETS, short_talk=True,
            ratio_db={("speech", "noise"): (-5.0, 0.0), ("speech", "music"): (-5.0, 0.0)},
        ),
        ("speech F1", "speech missed", "speech delay, s"),
    ),
    "sparse": Case(
        "solo instruments, quiet openings, bass music",
        replace(
            TRAIN,
            weights={("music",): 0.6, ("noise",): 0.12, ("speech", "music"): 0.1, ("music", "noise"): 0.06, (): 0.12},
            level_dbfs=(-48.0, -16.0), solo=0.4, bass=0.2, openings=0.4,
        ),
        replace(
            _HEARD, weights={("music",): 0.85, (): 0.15}, level_dbfs=(-46.0, -18.0),
            solo=0.6, bass=0.15, openings=0.35,
        ),
        ("music recall", "noise false", "false speech an hour"),
    ),
    "bangs": Case(
        "separate bangs, with nothing in between",
        replace(
            TRAIN,
            weights={("noise",): 0.6, ("speech", "noise"): 0.15, ("music", "noise"): 0.1, (): 0.15},
            bangs=0.85,
        ),
        replace(_HEARD, weights={("noise",): 0.85, (): 0.15}, bangs=1.0),
        ("noise F1", "noise false", "noise recall"),
    ),
}  # fmt: skip
TRAINED_CASES = tuple(name for name, case in CASES.items() if case.train is not None)
# What stream i of a round is: TURNS[i % len(TURNS)]; None = the mix of all. Two of three are of that mix: with half of
# them cases, everything else was heard less well.
TURNS: tuple[str | None, ...] = tuple(
    turn
    for case in (
        "animals", "singing", "rooms", "quiet-noise", "horns", "animals", "singing", "rooms", "onsets", "sparse",
        "bangs",
    )
    for turn in (None, case, None)
)  # fmt: skip


def training_mixes(without: frozenset[str], noise_heard_db: float, general: Mix = TRAIN) -> tuple[Mix, ...]:
    """The mix of every turn. A case that is left out gives its place to the ``general`` mix: the rest stay the same."""
    cases = (
        None if turn is None or is_general(index, without) else CASES[turn].train
        for index, turn in enumerate(TURNS)
    )
    return tuple(replace(mix or general, noise_heard_db=noise_heard_db) for mix in cases)


def is_general(stream: int, without: frozenset[str]) -> bool:
    """Whether stream i of a round is of the mix of all, and not of a case."""
    turn = TURNS[stream % len(TURNS)]
    return turn is None or turn in without
