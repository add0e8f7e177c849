"""Which sound is no class: what the classes themselves are, by the ear of the bundled model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr

from export.data.recording import Recording
from export.scenes.negatives import KINDS, Kind
from export.scenes.sound_store import SoundStore
from stream.classifier import StreamClassifier
from stream.inference.session import Model

LISTENED = 12  # recordings of each class
WORD_SECONDS = 1.5  # a class of shorter sounds is one word, one bark, one note; not speech or music as such


@dataclass(frozen=True, slots=True)
class ClassKinds:
    """What the classes are.

    Attributes:
        kind: label -> speech, music or noise: the most probable one while the class sounds.
        short: labels whose recordings sound for less than ``WORD_SECONDS``.
    """

    kind: dict[str, Kind]
    short: frozenset[str]

    @property
    def allowed(self) -> tuple[Kind, ...]:
        """Kinds of which other sound is no class.

        Other speech is none of three words or two speakers; but it is what a class "speech" means, where that is the
        only class of speech and of longer than a word. The same goes for music and noise.
        """
        return tuple(kind for kind in KINDS if kind == "silence" or self._may(kind))

    def _may(self, kind: Kind) -> bool:
        such = [label for label, each in self.kind.items() if each == kind]
        return len(such) != 1 or such[0] in self.short

    @property
    def words(self) -> bool:
        """True if most classes are short speech, so that the recordings played backwards are none of them."""
        words = [label for label in self.short if self.kind.get(label) == "speech"]
        return len(words) > len(self.kind) / 2


def class_kinds(
    sounds: SoundStore, recordings: Sequence[Recording], labels: Sequence[str], seed: int = 0
) -> ClassKinds:
    """Listen to some recordings of each class with the bundled model ``default``.

    Args:
        sounds: of the recordings.
        recordings: labelled.
        labels: classes to look at.
        seed: which recordings.
    """
    model = Model.bundled("default")
    rate = model.card.features.sample_rate
    rng = np.random.default_rng(seed)
    usable = sounds.usable()
    kind: dict[str, Kind] = {}
    short: set[str] = set()
    for label in labels:
        having = [i for i in usable if label in recordings[i].labels]
        if not having:
            continue
        chosen = rng.permutation(having)[:LISTENED].tolist()
        total = np.zeros(len(model.labels))
        for i in chosen:
            first, last = sounds.active[i]
            sound = soxr.resample(sounds[i][first:last], sounds.sample_rate, rate)
            # Twice: the second time the model has heard some sound already.
            result = StreamClassifier(model).push(np.concatenate([sound, sound]).astype(np.float32))
            probs = result.scores.probs
            total += probs[len(probs) // 2 :].mean(0) if len(probs) > 1 else 0
        best = model.labels[int(total.argmax())]
        if best in ("speech", "music", "noise"):
            kind[label] = best  # type: ignore[assignment]
        lengths = [sounds.seconds(i) for i in chosen]
        events = [e.offset - e.onset for i in having for e in recordings[i].events or () if e.label == label]
        if float(np.median(events or lengths)) < WORD_SECONDS:
            short.add(label)
    return ClassKinds(kind, frozenset(short))
