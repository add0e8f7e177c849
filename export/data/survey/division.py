"""How a data set is divided, and by what: told to the user, who must be able to trust the figures."""

from __future__ import annotations

from dataclasses import dataclass, replace

from export.data.recording import Dataset, Split
from export.data.splits import SplitConfig, check_names, split_dataset
from stream.errors import DataError


@dataclass(frozen=True, slots=True)
class Division:
    """A data set with its parts.

    Attributes:
        data: every recording has a split; or, where ``problem`` says why, some have none.
        why: what put recordings into a part that is held out: part -> reason.
        problem: why training would refuse this division; "" if it would not.
    """

    data: Dataset
    why: dict[Split, str]
    problem: str = ""


def divide(data: Dataset, plan: SplitConfig | None = None) -> Division:
    """Divide a data set as training does, and say by what.

    Args:
        data: as it was read; or already divided, which stays.
        plan: see `SplitConfig`.

    Raises:
        DataError: the plan names a fold or group that does not exist.
    """
    plan = plan or SplitConfig()
    check_names(data, plan)
    problem = ""
    try:
        result = split_dataset(data, plan)
    except DataError as error:
        result, problem = _divided_anyway(data, plan), str(error)
    why: dict[Split, str] = {}
    authors = {recording.split for recording in data.recordings} - {None}
    asked: tuple[tuple[Split, tuple[str, ...], tuple[str, ...], float], ...] = (
        ("validation", plan.validation_folds, plan.validation_groups, plan.validation),
        ("test", plan.test_folds, plan.test_groups, plan.test),
    )
    for part, folds, groups, percent in asked:
        if not result.part(part):
            continue
        reasons = [f"fold {', '.join(folds)}, as asked for"] if folds else []
        reasons += [f"{', '.join(groups)}, as asked for"] if groups else []
        if not reasons and part in authors:
            reasons = ["the data's own split"]
        if not reasons:
            reasons = [f"drawn by speaker or source, {percent:g} % wanted"]
        why[part] = " and ".join(reasons)
    return Division(result, why, problem)


def _divided_anyway(data: Dataset, plan: SplitConfig) -> Dataset:
    """The author's split and what was asked for, where a whole division is refused: enough for a table."""
    placed = []
    for recording in data.recordings:
        split = recording.split
        if recording.group in plan.test_groups or recording.fold in plan.test_folds:
            split = "test"
        elif recording.group in plan.validation_groups or recording.fold in plan.validation_folds:
            split = "validation"
        placed.append(replace(recording, split=split or "train"))
    return replace(data, recordings=tuple(placed))
