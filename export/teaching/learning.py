"""Learning: a head and a threshold for each taught sound, from a few examples and much background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.scenes.negatives import Negatives
from export.teaching.background import Stretch
from export.teaching.examples import Example
from export.teaching.front import Front
from export.teaching.head import Head, Scale, fit_logistic
from export.teaching.heard import LEAD_SECONDS, TAIL_SECONDS, Heard, heard_again
from export.teaching.quiet_hours import QuietHours
from export.teaching.threshold import Tail, held

Array = NDArray[np.float32]
MOMENTS_SECONDS = (0.0, 0.16, 0.32, 0.48)  # before the newest row: a sound is known by what comes after what
PENALTY = 3e-4
BACKGROUND_WEIGHT = 4.0  # of all background, beside one of all examples
LEAD_WEIGHT = 0.3  # of what is before an example
COPIES, MOST_COPIES = 60, 20  # of all examples of a sound together, of each
STEP_SECONDS = 0.08  # between rows of background that are learnt from
FOLDS = 3
SLOW_SECONDS = 0.2  # between rows of a front from which each is about so much that none before it is needed
_LATE_SECONDS = 0.12  # after a short sound its rows still mean it
_SETTLED_SHARE, _SETTLED_SECONDS = 0.75, 0.7  # of a sound, that must have been heard


@dataclass(frozen=True, eq=False, slots=True)
class Taught:
    """A sound to be learnt.

    Attributes:
        label: its name.
        examples: of it.
    """

    label: str
    examples: Sequence[Example]


@dataclass(frozen=True, eq=False, slots=True)
class Copy:
    """An example as it may be heard, in rows of a front.

    Attributes:
        sound: number of the sound; -1 = something that is none.
        fold: copies of one fold are left out together; those of one example are in one, if there are several examples.
        rows: (T, D).
        zone: (T,) bool, rows by which most of it has been heard.
        before: (T,) bool, rows before it.
    """

    sound: int
    fold: int
    rows: Array
    zone: NDArray[np.bool_]
    before: NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True)
class Trial:
    """What a head gave for copies of examples that it was not learnt from.

    Attributes:
        peaks: (n, C) the highest held logit above the threshold while each was heard; >= 0 is an event.
        sound: (n,) which sound each was.
    """

    peaks: Array
    sound: NDArray[np.int64]


class Lesson:
    """Everything that heads are learnt from, heard by the front once.

    Args:
        front: gives the rows.
        sounds: to be learnt.
        wrong: examples of what is none of them.
        background: to learn from.
        quiet: of the bank, to choose thresholds on; none of it is learnt from.
        other: draws what is under the examples.
        seed: of every draw.
        own: the user's own quiet hours, as ``front`` heard them; for thresholds too.
    """

    def __init__(
        self,
        front: Front,
        sounds: Sequence[Taught],
        wrong: Sequence[Example],
        background: Sequence[Stretch],
        quiet: Sequence[Stretch],
        other: Negatives,
        seed: int = 0,
        own: Sequence[QuietHours] = (),
    ) -> None:
        self.front, self.labels = front, tuple(sound.label for sound in sounds)
        self.quiet, self._own = quiet, own
        rng = np.random.default_rng((seed, 3))
        step = max(1, round(STEP_SECONDS * front.rate))
        self._slow = front.rate * SLOW_SECONDS < 1
        moments = (0.0,) if self._slow else MOMENTS_SECONDS
        self.delays = tuple(sorted({round(moment * front.rate) for moment in moments}))
        heard = [front.rows(stretch.samples) for stretch in background]
        known = front.known
        self.scale = known.scale if known else Scale.of(np.concatenate([rows[:: 2 * step] for rows in heard]))
        parts = [self.scale.moments(rows, np.arange(0, len(rows), step), self.delays) for rows in heard]
        if known:
            parts.append(known.moments(moments))
        self._background = np.concatenate(parts)
        self._quiet = [front.rows(stretch.samples) for stretch in quiet]
        self.copies = [
            self.copy_of(
                i,
                (k if len(sound.examples) > 1 else turn) % FOLDS,
                self._heard(example, other, rng),
            )
            for i, sound in enumerate(sounds)
            for k, example in enumerate(sound.examples)
            for turn in range(copies_of_each(len(sound.examples)))
        ]
        self.copies += [
            self.copy_of(-1, k % FOLDS, self._heard(example, other, rng))
            for k, example in enumerate(wrong)
            for _ in range(copies_of_each(len(wrong)))
        ]

    def _heard(self, example: Example, other: Negatives, rng: np.random.Generator) -> Heard:
        """One copy of an example. Where rows are far apart, it may begin anywhere between two of them."""
        front = self.front
        if not self._slow:
            return heard_again(example.samples, front.sample_rate, other, rng)
        span, hop = front.card.features.span / front.sample_rate, front.hop / front.sample_rate
        heard = heard_again(
            example.samples, front.sample_rate, other, rng,
            lead=max(LEAD_SECONDS, span), tail=max(TAIL_SECONDS, hop + _LATE_SECONDS),
        )  # fmt: skip
        cut = int(rng.integers(front.hop))
        return Heard(heard.samples[cut:], heard.begin - cut, heard.end - cut)

    def copy_of(self, sound: int, fold: int, heard: Heard) -> Copy:
        """Rows of one copy of an example."""
        rate = self.front.sample_rate
        rows = self.front.rows(heard.samples)
        last = self.front.card.features.span - self.front.card.features.hop_length
        time = ((np.arange(len(rows)) + 1) * self.front.hop + last) / rate  # of the newest sample
        begin, end = heard.begin / rate, heard.end / rate
        late = _LATE_SECONDS if end - begin < self.front.card.span else 0.0
        if self._slow:
            late = self.front.hop / rate  # the first row by which it has been heard may come so late
        settled = begin + min(_SETTLED_SHARE * (end - begin), _SETTLED_SECONDS)
        zone = (time >= settled) & (time <= end + late)
        if not zone.any():
            zone[int(np.abs(time - end).argmin())] = True
        return Copy(sound, fold, rows, zone, (time < begin) & (time > 0.15))

    def learn(self, without: int | None = None, penalty: float = PENALTY) -> Head:
        """A head from all copies, or from those that are not of one fold."""
        used = [copy for copy in self.copies if copy.fold != without or copy.sound < 0]
        chosen = [np.flatnonzero(copy.zone)[::2] for copy in used]
        count = len(self.labels)
        number = {i: max(1, sum(copy.sound == i for copy in used)) for i in range(-1, count)}
        head = self._fitted(used, chosen, number, penalty, coarse=True)
        # Of the rows of a sound the third that mean it most: not all of it sounds like itself.
        chosen = [
            _best(head.logits(copy.rows)[:, copy.sound], np.flatnonzero(copy.zone))
            if copy.sound >= 0
            else rows
            for copy, rows in zip(used, chosen, strict=True)
        ]
        return self._fitted(used, chosen, number, penalty, coarse=without is not None)

    def _fitted(
        self,
        used: Sequence[Copy],
        chosen: Sequence[NDArray[np.int64]],
        number: Mapping[int, int],
        penalty: float,
        *,
        coarse: bool,
    ) -> Head:
        """``coarse``: a third of the background is enough to see how things are."""
        background = self._background[:: 3 if coarse else 1]
        count = len(self.labels)
        x, y, weight = [background], [np.zeros((len(background), count), np.float32)], []
        weight.append(np.full((len(background), count), BACKGROUND_WEIGHT / len(background), np.float32))
        for copy, rows in zip(used, chosen, strict=True):
            each = 1 / number[copy.sound]
            for at, is_it, share in (
                (rows, copy.sound >= 0, each),
                (np.flatnonzero(copy.before)[::4], False, LEAD_WEIGHT * each),
            ):
                if not len(at):
                    continue
                truth = np.zeros((len(at), count), np.float32)
                if is_it:
                    truth[:, copy.sound] = 1
                x.append(self.scale.moments(copy.rows, at, self.delays))
                y.append(truth)
                weight.append(np.full((len(at), count), share / len(at), np.float32))
        weights, bias = fit_logistic(np.concatenate(x), np.concatenate(y), np.concatenate(weight), penalty)
        return self.scale.head(weights, bias, self.delays)

    def tails(self, head: Head, own: bool = False) -> list[Tail]:
        """How high each sound's logit comes in the quiet stretches of the bank, or in the user's own hours."""
        heard = map(head.logits, self._quiet) if not own else (hours.logits(head) for hours in self._own)
        logits = [held(each, self.front.rate) for each in heard]
        return [Tail.of([each[:, i] for each in logits], self.front.rate) for i in range(len(self.labels))]

    def trial(self, head: Head, thresholds: Array, copies: Sequence[Copy]) -> Trial:
        """What ``head`` gives for ``copies``."""
        peaks = [
            (held(head.logits(copy.rows), self.front.rate) - thresholds)[_from_first(copy.zone)].max(0)
            for copy in copies
        ]
        return Trial(
            np.array(peaks, np.float32).reshape(-1, len(self.labels)), np.array([c.sound for c in copies])
        )

    def background_names(self, head: Head, sound: int, threshold: float) -> list[str]:
        """What in quiet is taken for a sound at a threshold, the most often first."""
        found: dict[str, int] = {}
        for hours in self._own:
            if (held(hours.logits(head), self.front.rate)[:, sound] >= threshold).any():
                found[hours.name] = found.get(hours.name, 0) + 1
        for stretch, rows in zip(self.quiet, self._quiet, strict=True):
            loud = np.flatnonzero(held(head.logits(rows), self.front.rate)[:, sound] >= threshold)
            for name in {stretch.name_at(int(row) * self.front.hop) for row in loud}:
                found[name] = found.get(name, 0) + 1
        return sorted(found, key=lambda name: -found[name])

    @property
    def has_own(self) -> bool:
        """Whether there are quiet hours of the user's own."""
        return bool(self._own)


def copies_of_each(examples: int) -> int:
    """How often each of so many examples is heard."""
    return max(2, min(MOST_COPIES, COPIES // max(1, examples)))


def _best(logits: Array, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    order = np.argsort(-logits[rows], kind="stable")
    return np.sort(rows[order[: max(1, len(rows) // 3)]])


def _from_first(zone: NDArray[np.bool_]) -> slice:
    first = int(np.flatnonzero(zone)[0])
    return slice(max(0, first - 5), None)
