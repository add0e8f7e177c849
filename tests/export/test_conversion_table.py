"""The guide's table of what converts names every network of the tests, and says what is so."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from export.conversion.fault_localisation import most_helpful  # noqa: E402
from stream.errors import ExportError, NotStreamable, ParityError  # noqa: E402
from tests.support.conversion_table import (  # noqa: E402
    CONVERTED,
    DELAYED,
    REFUSED,
    in_guide,
    outcome,
    table,
)

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_thread")]


def test_the_table_names_every_network() -> None:
    lines = in_guide().splitlines()
    for family, networks in CONVERTED.items():
        assert f"| {family} | {len(networks)} convert: {'; '.join(networks)} |" in lines
    delayed = next(line for line in lines if line.startswith("| look ahead"))
    assert [each.rsplit(" (", 1)[0] for each in delayed.split(": ")[1].split("; ")] == list(DELAYED)
    below = lines[lines.index("| refused | reason |") + 2 :]
    assert [line.split(" | ")[0].removeprefix("| ") for line in below] == list(REFUSED)


@pytest.mark.parametrize("name", ["bidirectional", "attention", "flip", "causal attention"])
def test_reasons_are_those_of_the_refusal(name: str) -> None:
    assert f"| {name} | {outcome(REFUSED[name])} |" in in_guide().splitlines()


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_the_table_is_what_the_command_writes() -> None:
    assert in_guide() == table()


def test_the_fault_that_helps_most_is_told() -> None:
    fixed = NotStreamable("layer 'a' (Reshape): does not run at other lengths or batch sizes; export it")
    broken, unclear = ExportError("torch.export: no"), ParityError("layer 'b': differs")
    attention = NotStreamable("operator 'c': it compares frames with frames; use a recurrent layer")
    assert most_helpful([fixed, broken, attention]) is attention
    assert most_helpful([unclear, fixed]) is fixed
    assert most_helpful([broken, unclear]) is unclear
    assert str(most_helpful([broken])) == "torch cannot export this network: torch.export: no"
