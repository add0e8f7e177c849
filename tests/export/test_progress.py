"""What training shows: a table that fits, the same columns in every row, and the time left for the whole run."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from export.training.progress import RichReport
from export.training.time_left import FINAL_VALIDATIONS, TimeLeft, in_words

COLUMNS = ["epoch", "train", "loss", "validation", "loss", "accuracy", "best", "seconds", "time", "left"]


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def run(
    report: RichReport, clock: Clock, epochs: int, *, first: int = 0, stop: int | None = None,
    steps: int | None = 4, **figures: float,
) -> None:  # fmt: skip
    """Epochs of four steps of 2 s and a validation of 1 s."""
    for epoch in range(first, epochs if stop is None else stop):
        report.start_epoch(epoch, epochs, steps)
        for _ in range(4):
            clock.now += 2.0
            report.step(0.5)
        clock.now += 1.0
        record = {"epoch": float(epoch), "loss": 0.5, "learning_rate": 0.002, "seconds": 8.0}
        report.end_epoch(
            {**record, **{f"val_{name}": value for name, value in figures.items()}}, epoch % 2 == 0
        )


def shown(terminal: bool = False, quiet: bool = False, **options: object) -> list[str]:
    """The lines of a run."""
    file, clock = io.StringIO(), Clock()
    console = Console(file=file, width=80, force_terminal=terminal, quiet=quiet, color_system=None)
    with RichReport(console, clock) as report:
        report.prepared("features of train", 1, 7)
        report.prepared("features of train", 7, 7)
        run(report, clock, 12, **options)  # type: ignore[arg-type]
    return file.getvalue().splitlines()


def test_one_header_and_a_row_for_each_epoch_from_1() -> None:
    lines = shown(loss=0.3, accuracy=0.97, balanced=0.96, accuracy_alone=0.95)
    assert lines[0] == "features of train: 7"
    assert lines[1].split() == COLUMNS
    rows = [line.split() for line in lines[2:]]
    assert [row[0] for row in rows] == [f"{n}/12" for n in range(1, 13)]
    assert rows[0] == ["1/12", "0.5000", "0.3000", "0.9700", "*", "8.0", "2", "min"]
    assert rows[1][4] == "8.0", "not the best so far"


def test_every_row_has_the_columns_of_the_header_and_80_at_most() -> None:
    lines = shown(loss=12345.678, accuracy=1.0)[1:]
    assert max(map(len, lines)) <= 80
    for name in ("train loss", "validation loss", "accuracy", "best", "seconds", "time left"):
        end = lines[0].index(name) + len(name)
        assert all(end >= len(line) or line[end] == " " for line in lines), name


@pytest.mark.parametrize(
    ("figures", "heading", "cells"),
    [
        ({"loss": 0.3, "f1": 0.8, "f1_dog": 0.8}, "F1", ["0.3000", "0.8000"]),
        ({}, "accuracy", ["-", "-"]),
        ({"loss": float("nan"), "accuracy": 0.5}, "accuracy", ["nan", "0.5000"]),
    ],
)
def test_the_figure_that_there_is_stands_in_the_table(
    figures: dict[str, float], heading: str, cells: list[str]
) -> None:
    lines = shown(**figures)
    assert heading in lines[1].split()
    assert lines[2].split()[2:4] == cells


def test_quiet_is_quiet() -> None:
    assert shown(quiet=True, loss=0.3, accuracy=0.9) == []


def test_a_terminal_has_a_bar_with_the_time_left_for_the_whole_run() -> None:
    text = "\n".join(shown(terminal=True, loss=0.3, accuracy=0.9))
    assert "epoch 12/12" in text
    assert "left in all" in text
    assert "features of train: 7" not in text, "the bar has shown it"
    assert text.count("validation loss") == 1


def test_the_time_left_is_that_of_all_epochs_and_of_the_figures_at_the_end() -> None:
    clock = Clock()
    left = TimeLeft(clock)
    assert left.seconds() is None
    left.start_epoch(0, 10, 5)
    assert left.seconds() is None
    clock.now += 3.0
    left.step()
    assert left.seconds() == pytest.approx(10 * 15.0 - 3.0), "a fifth of the first epoch took 3 s"
    clock.now += 12.0
    for _ in range(4):
        left.step()
    clock.now += 2.0
    left.end_epoch()
    assert left.seconds() == pytest.approx(9 * 17.0 + FINAL_VALIDATIONS * 2.0)
    left.start_epoch(1, 10, None)
    assert left.seconds() == pytest.approx(9 * 17.0 + FINAL_VALIDATIONS * 2.0), "also where steps are unknown"


def test_a_resumed_run_is_estimated_by_its_own_epochs() -> None:
    clock = Clock()
    left = TimeLeft(clock)
    left.start_epoch(7, 10, 2)
    for _ in range(2):
        clock.now += 5.0
        left.step()
    left.end_epoch()
    assert left.seconds() == pytest.approx(2 * 10.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (0.2, "0 s"),
        (89.4, "89 s"),
        (90.0, "2 min"),
        (5300.0, "88 min"),
        (12_000.0, "3 h 20 min"),
    ],
)
def test_times_in_words(seconds: float | None, words: str) -> None:
    assert in_words(seconds) == words
