"""Train, validation and test parts that never divide a group.

Order of authority: groups or folds asked for, then the author's own splits. Else names with ``_nohash_`` are
divided by the hash of Speech Commands (``sha1(speaker) mod 2**27`` as a percentage: below ``validation`` it is
validation, the next ``test`` percent is test). Of others, and of speakers so few that a part stays empty, whole
groups in the order of that hash are taken until each class has its share. When only validation is missing, it is
taken from training in the same way.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from export.data.recording import Dataset, Recording, Split
from stream.errors import DataError

_MODULUS = 2**27


@dataclass(frozen=True, slots=True)
class SplitConfig:
    """How to divide a data set.

    Attributes:
        validation, test: percent drawn when nothing else decides; 0 = none.
        validation_folds, test_folds: folds of the manifest; the other folds are for training.
        validation_groups, test_groups: groups (speakers, sources) by name.
    """

    validation: float = 10.0
    test: float = 10.0
    validation_folds: tuple[str, ...] = ()
    test_folds: tuple[str, ...] = ()
    validation_groups: tuple[str, ...] = ()
    test_groups: tuple[str, ...] = ()


def split_dataset(data: Dataset, plan: SplitConfig | None = None) -> Dataset:
    """``data`` with a split on every recording.

    Raises:
        DataError: a fold or group that does not exist, a group in two splits, a class that one split lacks.
    """
    plan = plan or SplitConfig()
    check_names(data, plan)
    placed = [replace(r, split=_asked(r, plan)) for r in data.recordings]
    if not any(r.split for r in placed):
        placed = list(data.recordings)
    if any(r.split for r in placed):
        placed = [r if r.split else replace(r, split="train") for r in placed]
    else:
        placed = _draw(placed, "test", plan.test, plan.validation)
    if plan.validation and not any(r.split == "validation" for r in placed):
        placed = _draw(placed, "validation", plan.validation, 0.0)
    result = replace(data, recordings=tuple(placed))
    check_leaks(result.recordings)
    check_classes(result)
    return result


def hash_percent(group: str) -> float:
    """0 to 100, as Speech Commands' ``which_set`` computes it."""
    return (int(hashlib.sha1(group.encode()).hexdigest(), 16) % _MODULUS) * (100.0 / (_MODULUS - 1))


def check_leaks(recordings: Sequence[Recording]) -> None:
    """DataError naming two files if a group is in more than one split."""
    first: dict[str, Recording] = {}
    for recording in recordings:
        other = first.setdefault(recording.group, recording)
        if other.split != recording.split:
            raise DataError(
                f"group {recording.group}: {other.where} is in {other.split} and {recording.where} in "
                f"{recording.split}; a speaker or source may be in one split only"
            )


def check_classes(data: Dataset) -> None:
    """DataError for a class with one file, or one that training or validation lacks."""
    files: Counter[str] = Counter()
    parts: dict[str, set[str]] = defaultdict(set)
    example: dict[str, Recording] = {}
    for recording in data.recordings:
        for label in recording.labels:
            files[label] += 1
            parts[label].add(recording.split or "train")
            example[label] = recording
    for label in data.labels:
        if not files[label]:
            raise DataError(f"class {label}: has no recording; add some or leave it out")
        if files[label] == 1:
            raise DataError(
                f"class {label}: only {example[label].where} has it; a class needs 2 files or more"
            )
        for split in ("train", "validation") if data.part("validation") else ("train",):
            if split not in parts[label]:
                raise DataError(
                    f"class {label}: none of its {files[label]} files is in {split} "
                    f"(one is {example[label].where}); add speakers or sources, or choose other folds or groups"
                )


def _asked(recording: Recording, plan: SplitConfig) -> Split | None:
    if recording.group in plan.test_groups or recording.fold in plan.test_folds:
        return "test"
    if recording.group in plan.validation_groups or recording.fold in plan.validation_folds:
        return "validation"
    return None


def check_names(data: Dataset, plan: SplitConfig) -> None:
    """DataError for a fold or group that was asked for and does not exist."""
    groups = {r.group for r in data.recordings}
    folds = {r.fold for r in data.recordings if r.fold is not None}
    for kind, asked, known in (
        ("group", (*plan.validation_groups, *plan.test_groups), groups),
        ("fold", (*plan.validation_folds, *plan.test_folds), folds),
    ):
        for name in asked:
            if name not in known:
                if not known:
                    raise DataError(
                        f"{kind} {name!r}: the data has no {kind}s; leave it out, or add a column {kind}"
                    )
                some = ", ".join(sorted(known)[:12])
                more = f" and {len(known) - 12} more" if len(known) > 12 else ""
                raise DataError(f"{kind} {name!r}: the data has {some}{more}; choose one of those")


def _draw(recordings: Sequence[Recording], part: Split, percent: float, above: float) -> list[Recording]:
    """Move ``percent`` of what is for training (or undecided) to ``part``, by whole groups.

    ``above``: where the hash's share begins, percent.
    """
    free = [r for r in recordings if r.split in (None, "train")]
    chosen: set[str] = set()
    if all("_nohash_" in r.path.name for r in free):
        chosen = {r.group for r in free if above <= hash_percent(r.group) < above + percent}
    if not chosen:  # other names, or so few speakers that none has such a hash
        chosen = _balanced(free, percent)
    return [
        r if r.split not in (None, "train") else replace(r, split=part if r.group in chosen else "train")
        for r in recordings
    ]


def _balanced(recordings: Sequence[Recording], percent: float) -> set[str]:
    """Groups that hold about ``percent`` of each class, rarest class first; one group of each is left."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for recording in recordings:
        counts[recording.group].update(recording.labels)
    total: Counter[str] = sum(counts.values(), Counter())
    order = sorted(counts, key=hash_percent)
    chosen: set[str] = set()
    for label in sorted(total, key=lambda name: (total[name], name)):
        wanted = total[label] * percent / 100
        have = sum(counts[group][label] for group in chosen)
        free = [group for group in order if counts[group][label] and group not in chosen]
        while have < wanted and len(free) > 1:
            fitting = [group for group in free if counts[group][label] <= 2 * (wanted - have)]
            if not fitting and have:
                break
            group = fitting[0] if fitting else min(free, key=lambda name: counts[name][label])
            free.remove(group)
            chosen.add(group)
            have += counts[group][label]
    return chosen
