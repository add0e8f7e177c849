"""The options of detection, for every command that makes events of scores."""

from __future__ import annotations

import click

from stream.cli.deprecated import RenamedOption
from stream.cli.help import section
from stream.cli.values import Level

RULE_FIELDS = ("threshold", "peak_threshold", "min_on", "min_off", "refractory", "smoothing")
"""Fields of a rule that have an option of their name here."""

detection_options = section(
    "Detection (VALUE for every class, or LABEL=VALUE for one; repeatable)",
    click.option(
        "--threshold",
        multiple=True,
        metavar="[LABEL=]P",
        help="Probability at which an event begins. Default: the model's own.",
    ),
    click.option(
        "--peak-threshold",
        cls=RenamedOption,
        was="--confirm",
        multiple=True,
        metavar="[LABEL=]P",
        help="Probability that an event must reach once to be reported. "
        "Default: the model's own; none with --threshold.",
    ),
    click.option("--min-on", multiple=True, metavar="[LABEL=]S", help="Shortest event, in seconds."),
    click.option(
        "--min-off", multiple=True, metavar="[LABEL=]S", help="Seconds of absence that end an event."
    ),
    click.option(
        "--refractory",
        multiple=True,
        metavar="[LABEL=]S",
        help="Seconds after an event before the next one may begin.",
    ),
    click.option(
        "--smoothing",
        multiple=True,
        metavar="[LABEL=]S",
        help="Seconds over which probabilities are averaged.",
    ),
    click.option(
        "--group",
        multiple=True,
        metavar="NAME=A,B",
        help="A class of its own for several: as probable as the most probable of them.",
    ),
    click.option(
        "--loud",
        type=Level(),
        metavar="DBFS",
        help="A class of its own for what is as loud as this or louder, such as -20dBFS, whatever it is.",
    ),
)
