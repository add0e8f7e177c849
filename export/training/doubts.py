"""Why the figures of a training may promise more than the model will keep."""

from __future__ import annotations

from collections.abc import Mapping

from export.data.recording import Dataset, Split

GAP = 0.08  # between validation and test, more than chance in a few hundred recordings
FEW_JUDGES = 2  # speakers or sources whose figures say little about others


def doubts(figures: Mapping[str, float], data: Dataset) -> tuple[str, ...]:
    """A line for each reason, with what to do about it.

    Args:
        figures: ``validation_*`` and ``test_*``, as training measured them.
        data: divided.
    """
    found = []
    for name, word in (("accuracy", "accuracy"), ("f1", "F1")):
        validation, test = figures.get(f"validation_{name}"), figures.get(f"test_{name}")
        if validation is not None and test is not None and validation - test > GAP:
            found.append(
                f"{word} is {validation:.2f} in validation but {test:.2f} in the test: expect the lower one or less "
                f"of new speakers and sources; record more of them, {_sources(data, 'train')} were learnt from"
            )
    judges = _sources(data, "validation")
    if 0 < judges <= FEW_JUDGES and data.part("train") and _sources(data, "train") > 1:
        whose = "one speaker or source" if judges == 1 else f"{judges} speakers or sources"
        found.append(
            f"validation is of {whose}: another may do worse; see how much with --validation-group and another name"
        )
    return tuple(found)


def _sources(data: Dataset, part: Split) -> int:
    return len({recording.group for recording in data.part(part)})
