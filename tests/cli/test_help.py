"""Help: grouped by task, with examples, in the width of the terminal."""

from __future__ import annotations

import re

import click
import pytest

from stream.cli.app import app
from stream.cli.help import TaskCommand, section
from tests.support.command import stream_classify

OWN = [
    *("verify", "inspect", "bench", "soak", "schema", "completion", "settings", "doctor", "scan", "redact"),
    *("report", "review", "replay", "explain", "calibrate"),
]


@pytest.mark.parametrize(
    ("words", "columns"), [([], 100), ([], 80), *(([name], 80) for name in OWN)], ids=str
)
def test_help_fits_the_terminal_and_shows_how(words: list[str], columns: int) -> None:
    done = stream_classify(*words, "--help", COLUMNS=str(columns))
    assert done.returncode == 0, done.stderr
    too_long = [line for line in done.stdout.splitlines() if len(line) > columns]
    assert too_long == []
    assert not re.search(r"\bx[<>]=?\d", done.stdout), "bounds are for errors"
    assert re.search(r"^  Examples?:|^  Install it", done.stdout, re.MULTILINE)
    assert " ".join(["stream-classify", *words]) in done.stdout.split("Example")[-1]


def sections(text: str) -> dict[str, str]:
    """Title -> what stands below it."""
    parts = re.split(r"^(\S[^\n]*):\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_options_stand_where_their_task_is() -> None:
    found = sections(stream_classify("--help").stdout)
    titles = [title.split(" (")[0] for title in found]
    assert titles == [
        "Commands",
        "Sound in",
        "Model",
        "Detection",
        "Output",
        "What happens then",
        "Privacy",
        "Settings",
        "Other",
    ]
    where = {
        option: title.split(" (")[0]
        for title, text in found.items()
        for option in re.findall(r"^  (?:-\w, )?(--[a-z-]+)", text, re.MULTILINE)
    }
    assert where["--device"] == where["--sample-rate"] == where["--repair"] == "Sound in"
    assert where["--provider"] == where["--max-gap"] == "Model"
    assert where["--peak-threshold"] == where["--smoothing"] == "Detection"
    assert where["--jsonl"] == where["--screenshot"] == "Output"
    assert where["--help"] == where["--version"] == "Other"
    assert set(where) >= {max(p.opts, key=len) for p in app.params}


def test_every_option_of_every_command_has_a_help_text() -> None:
    context = click.Context(app)
    for name in OWN:
        command = app.get_command(context, name)
        assert command is not None
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts[0]}"


def test_a_command_without_sections_has_plain_options() -> None:
    @click.command(cls=TaskCommand)
    @click.option("--hours")
    def plain(hours: str) -> None: ...

    assert list(sections(plain.get_help(click.Context(plain)))) == ["Options"]


def test_what_is_in_no_section_comes_last() -> None:
    @click.command(cls=TaskCommand)
    @click.option("--seed")
    @section("Network", click.option("--hidden"), click.option("--layers"))
    def command(seed: str, hidden: str, layers: str) -> None: ...

    found = sections(command.get_help(click.Context(command)))
    assert list(found) == ["Network", "Other"]
    assert found["Network"].index("--hidden") < found["Network"].index("--layers")
    assert "--seed" in found["Other"]
