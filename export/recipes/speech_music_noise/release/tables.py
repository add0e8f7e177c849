"""A report as Markdown tables, for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from export.recipes.speech_music_noise.scenes.cases import CASES
from export.recipes.speech_music_noise.sources.rules import KINDS
from stream.inference.card import ModelCard


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table; numbers with three digits, None as an empty cell."""
    head = list(head)
    lines = [head, ["---"] * len(head), *([_cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if value != value else f"{value:.3f}"
    return str(value)


def chapter(
    card: ModelCard, figures: dict[str, dict[str, Any]], cases: Mapping[str, Mapping[str, float]]
) -> str:
    """Everything measured about the model with this card: validation -> report (see report.report), and the cases."""
    head = f"## {card.name}: {card.provenance['parameters']} parameters\n"
    kinds = ["### By what is hard to hear\n", case_table({card.name: cases})] if cases else []
    return "\n".join([head, *kinds, *(_section(name, part) for name, part in figures.items())])


def case_table(models: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """A row for each case and figure that matters in it, a column for each model: name -> case -> figure -> value."""
    return table(
        ["case", "what sounds", "figure", *models],
        [
            [name, case.about, figure, *(found.get(name, {}).get(figure) for found in models.values())]
            for name, case in CASES.items()
            for figure in case.figures
        ],
    )


def _section(name: str, figures: dict[str, Any]) -> str:
    frames, after = figures["frames"], figures["frames_after_8_h"]
    names = [*KINDS, "silence"]
    parts = [
        f"### On the {name} validation\n",
        f"{figures['hours']['validation']} h of composed streams. Frames of 10 ms, each class at the "
        "card's threshold, state carried through each stream; and the same with a state 8 h old.\n",
        table(
            ["class", "threshold", "F1", "precision", "recall", "ROC-AUC", "F1 after 8 h"],
            [
                [name, *(frames[name].get(key) for key in ("threshold", "f1", "precision", "recall", "roc_auc")),
                 after[name]["f1"]]
                for name in names
            ],
        ),
        f"Events, by the detector with the card's rules. On {figures['hours']['no_speech']} h of music and noise "
        f"without speech it reports speech {figures['false_speech_per_hour']:.1f} times an hour.\n",
        table(
            ["class", "false alarms an hour", "missed events", "median delay, s"],
            [[kind, *(figures["events"][kind][key] for key in
                      ("false_alarms_per_hour", "missed_share", "median_delay_seconds"))] for kind in KINDS],
        ),
        "By what sounds together (and by how many dB the first is louder): recall where the class sounds, "
        "and the share of the other frames in which it is wrongly predicted.\n",
        _conditions(figures["conditions"]),
        "Confusion: of the frames in which the row sounds, the share in which each combination is predicted.\n",
        _confusion(figures["confusion"]),
        "Reliability: for each tenth of the score, the share of its frames in which the class sounds.\n",
        _reliability(figures["reliability"]),
    ]  # fmt: skip
    return "\n".join(parts)


def _conditions(cells: dict[str, dict[str, Any]]) -> str:
    columns = [f"{kind} {what}" for kind in KINDS for what in ("recall", "false")]
    return table(
        ["sounds", "s", *columns],
        [[name, row["seconds"], *(row.get(column) for column in columns)] for name, row in cells.items()],
    )


def _confusion(rows: dict[str, dict[str, float]]) -> str:
    predicted = list(dict.fromkeys(name for row in rows.values() for name in row))
    return table(
        ["", *predicted],
        [[name, *(row.get(other, 0.0) for other in predicted)] for name, row in rows.items()],
    )


def _reliability(bins: dict[str, list[list[float]]]) -> str:
    tenth = {kind: {min(int(score * 10), 9): share for score, share, _ in bins[kind]} for kind in KINDS}
    return table(
        ["score", *KINDS],
        [[f"{t / 10:.1f} to {t / 10 + 0.1:.1f}", *(tenth[kind].get(t) for kind in KINDS)] for t in range(10)],
    )
