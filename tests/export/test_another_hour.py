"""Rules that were calibrated on an hour of real sound keep their budget in another hour."""

from __future__ import annotations

import pytest

from stream import Model
from tests.benchmarks.another_hour import another_hour
from tests.support.shared_data import need_data


@pytest.mark.long
def test_the_budget_is_kept_in_another_hour() -> None:
    root = need_data("urban").parent
    need_data("ambience")
    need_data("things")
    for budget, found in zip(
        ("10/h", "4/h"), another_hour(Model.bundled(), ("10/h", "4/h"), root), strict=True
    ):
        assert found.hours > 1
        assert found.promise.hours > 1
        assert found.promise.kept, budget
        assert found.before > found.promise.budget.per_hour * found.hours
        assert found.after <= found.promise.at_most_per_hour * found.hours
