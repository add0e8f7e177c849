"""Settings that suit a data set, where nothing else was asked for.

What is chosen is written into the TrainConfig, so that a run folder says all of it. Nothing here imports torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

import msgspec

from export.data.recording import Dataset
from export.data.survey import Survey
from export.training.config import TrainConfig
from export.training.settings import change
from export.training.start import FEATURES, MODEL, SHAPE

Effort = Literal["quick", "default", "thorough"]

FEW_SOURCES = 10  # of training: so few that a network learns them by heart
TELEPHONE_RATE = 8_000  # Hz
_MOSTLY = 0.8  # of the recordings
OTHERS = ("_unknown_", "unknown", "other", "others", "_other_")  # names of a class that is no event

# A frame of 25 ms every 10 ms, as at 16 kHz. Cepstra of 4 kHz have no more to say than the bands themselves.
_TELEPHONE = {
    "features.sample_rate": "8000", "features.n_fft": "256", "features.win_length": "200",
    "features.hop_length": "80",
}  # fmt: skip
# Convolutions over time and frequency hear the same picture further up or down in another voice or machine.
_NETWORK = {
    "model": "crnn", "axes": "time-frequency", "conv_layers": "3", "channels": "24", "kernel": "3",
    "stride": "4", "hidden": "96", "layers": "1", "dropout": "0.3", "features.n_mfcc": "none",
    "features.log_floor": "1e-8",
}  # fmt: skip
# Other voices, machines, microphones and rooms than the few that were recorded; and less noise over them, so that
# what they have in common is heard at all.
_VARIETY = {
    "augment.warp": "0.12", "augment.high_pass": "0.3", "augment.band_mask": "0.3", "augment.time_mask": "0.2",
    "scenes.speed": "0.15", "scenes.pitch": "0.2", "scenes.pause": "0.05:1", "scenes.negatives": "0.15",
    "scenes.empty": "0.08", "scenes.noise": "0.35", "scenes.snr": "5:35", "scenes.room": "0.3",
    "scenes.narrow": "0.08", "scenes.minutes": "45", "fit.smoothing": "0.05",
}  # fmt: skip
# The sounds of speech, learnt from many people before: a few speakers then need to teach only the words.
_STARTED = {
    **{name: str(value) for name, value in SHAPE.items()}, "model": MODEL, "dropout": "0.3", "start": "speech",
    "features.n_mfcc": "none", "features.log_floor": f"{FEATURES.log_floor:g}",
    **{name: str(getattr(FEATURES, name.removeprefix("features."))) for name in _TELEPHONE},
}  # fmt: skip
_PACE = {"fit.learning_rate": "0.003", "fit.average": "0.99", "streams.frames": "100"}
# What may suit some sounds better, the likeliest first.
_OTHERS: Mapping[str, Mapping[str, str]] = {
    "gru on MFCC": {"model": "gru", "hidden": "96", "dropout": "0.2", "features.n_mfcc": "40"},
    "tcn on MFCC": {"model": "tcn", "hidden": "64", "dropout": "0.2", "features.n_mfcc": "40"},
    "crnn, wider": {**_NETWORK, "hidden": "160", "channels": "40"},
    "lstm on MFCC": {"model": "lstm", "hidden": "96", "dropout": "0.2", "features.n_mfcc": "40"},
}
NETWORK_SETTINGS = {*_NETWORK, "features.deltas", "front", "bands", "cell", "norm", "heads"} - {
    "features.log_floor",
    "dropout",
}
_MORE_EPOCHS = 4 / 3  # with few sources: variety takes time to be learnt
_SHARE_OF_COMPARISON = 8  # of the epochs of the training
EPOCHS: Mapping[Effort, int] = {"quick": 8, "default": 24, "thorough": 60}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network to be compared with others before the training.

    Attributes:
        name: in words.
        config: of the whole training with it.
        epochs: of the comparison.
    """

    name: str
    config: TrainConfig
    epochs: int


class Chosen:
    """A configuration that is completed step by step.

    Args:
        config: what was asked for.
        asked: names of the settings that were asked for; they stay as they are.

    Attributes:
        config: with what was chosen.
        reasons: a line for each choice.
        narrow: most recordings have 8 kHz.
    """

    def __init__(self, config: TrainConfig, asked: Collection[str]) -> None:
        self.config = config
        self.asked = set(asked)
        self.reasons: list[str] = []
        self.narrow = False

    def choose(self, settings: Mapping[str, str], reason: str = "") -> None:
        """Set what was not asked for; the reason is kept if that is anything."""
        free = {name: value for name, value in settings.items() if name not in self.asked}
        if not free:
            return
        self.config = change(self.config, free)
        if reason:
            self.reasons.append(reason)


def choose_division(chosen: Chosen, data: Dataset) -> None:
    """What is known before anything is listened to: how the data is divided, and which class is no event."""
    chosen.choose({"compose": "true"})
    others = [label for label in data.labels if label.lower() in OTHERS]
    if others and chosen.config.labels is None:
        chosen.choose(
            {"unknown": others[0]}, f"{others[0]}: is learnt as everything else, and is never an event"
        )
    held_out = chosen.asked & {"test_groups", "test_folds"} or any(each.split for each in data.recordings)
    if few_sources(data) and not held_out:
        chosen.choose(
            {"test": "0"},
            f"no test part is drawn from {_sources(data)} speakers or sources: each is needed for learning; "
            "hold one out with --test-group",
        )


def choose_settings(chosen: Chosen, data: Dataset, found: Survey, effort: Effort = "default") -> None:
    """What the sound says: features, network, variety and length of the training.

    Args:
        chosen: is completed.
        data: divided.
        found: what was heard in it.
        effort: how long the training may be.
    """
    rates: Counter[int] = Counter()
    for each in found.classes:
        rates.update(each.sample_rates)
    narrow = sum(n for rate, n in rates.items() if rate <= TELEPHONE_RATE)
    chosen.narrow = bool(rates) and narrow >= _MOSTLY * rates.total()
    few = few_sources(data)
    started = few and not chosen.asked & {"start", *NETWORK_SETTINGS} and not _features_asked(chosen)
    if started or chosen.config.start is not None:
        chosen.choose(
            _STARTED, "crnn over time and frequency that has learnt the sounds of speech from other people"
        )
    elif chosen.narrow:
        chosen.choose(_TELEPHONE, "features for 8 kHz: most recordings have no more")
    if chosen.config.model == "dstcn" and "bands" not in chosen.asked:
        chosen.choose(
            {"features.n_mfcc": "none", "features.log_floor": _NETWORK["features.log_floor"]},
            "log-mel energies: a dstcn looks along the frequency axis",
        )
    if chosen.config.start is None and not chosen.asked & NETWORK_SETTINGS:
        chosen.choose(_NETWORK, "crnn over time and frequency on log-mel energies")
    if few:
        chosen.choose(
            _VARIETY,
            f"{_sources(data)} speakers or sources in training: other voices, machines and filters are simulated",
        )
        if data.part("validation"):
            chosen.choose(
                {"refit": "true"}, "trained again at the end, with the sources that validation held out"
            )
    more = _MORE_EPOCHS if few else 1
    chosen.choose({**_PACE, "fit.epochs": str(round(EPOCHS[effort] * more))})


def candidates(chosen: Chosen, data: Dataset, effort: Effort = "default") -> Sequence[Candidate]:
    """Networks that a short training compares on the validation part; () where there is nothing to compare.

    Args:
        chosen: completed; its own network is the first candidate.
        data: divided.
        effort: how long it may take.
    """
    if effort == "quick" or chosen.asked & NETWORK_SETTINGS or not data.part("validation"):
        return ()
    epochs = max(1, chosen.config.fit.epochs // _SHARE_OF_COMPARISON)
    plain = chosen.config
    if "start" in chosen.asked and plain.start is not None:
        return ()
    if plain.start is None:
        found = [Candidate("crnn over time and frequency", plain, epochs)]
        if "start" not in chosen.asked and not _features_asked(chosen):
            found.append(Candidate("crnn that has learnt speech", change(plain, _STARTED), epochs))
    else:
        found = [Candidate("crnn that has learnt speech", plain, epochs)]
        plain = change(plain, {"start": "none", **_NETWORK, **(_TELEPHONE if chosen.narrow else {})})
        found.append(Candidate("crnn over time and frequency", plain, epochs))
    for name, settings in _OTHERS.items() if effort == "thorough" else list(_OTHERS.items())[:1]:
        found.append(Candidate(name, change(_plain_network(plain), settings), epochs))
    return found


def _features_asked(chosen: Chosen) -> bool:
    return any(name.startswith("features.") for name in chosen.asked)


def _plain_network(config: TrainConfig) -> TrainConfig:
    """``config`` without the shape of its network."""
    return msgspec.structs.replace(config, model_changes={})


def few_sources(data: Dataset) -> bool:
    """True if the typical class has recordings of few speakers or sources to learn from."""
    sources: dict[str, set[str]] = {label: set() for label in data.labels}
    for recording in data.recordings:
        if recording.split in (None, "train"):
            for label in recording.labels:
                sources[label].add(recording.group)
    counts = [len(groups) for groups in sources.values() if groups]
    return bool(counts) and median(counts) < FEW_SOURCES


def _sources(data: Dataset) -> int:
    return len({recording.group for recording in data.recordings if recording.split in (None, "train")})
