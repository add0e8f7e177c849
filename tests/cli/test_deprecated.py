"""Old option names: they do what the new ones do, warn once, and appear nowhere."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from stream.cli.deprecated import RenamedOption


@click.command()
@click.option("--peak-threshold", cls=RenamedOption, was="--confirm", multiple=True, help="A peak.")
@click.option("--balance", cls=RenamedOption, was=("--even", "-e"), is_flag=True)
@click.option("-r", "--rate", cls=RenamedOption, was="--samplerate", type=int)
def command(**options: Any) -> None:
    click.echo(repr(options))


def run(*words: str) -> tuple[Any, str]:
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 0, done.output
    return eval(done.stdout), done.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (["--confirm", "0.5", "--confirm=0.6"], ["--peak-threshold", "0.5", "--peak-threshold=0.6"]),
        (["--even"], ["--balance"]),
        (["-e"], ["--balance"]),
        (["--samplerate", "8000"], ["--rate", "8000"]),
        (["--samplerate=8000", "--confirm", "x"], ["-r8000", "--peak-threshold", "x"]),
    ],
)
def test_old_names_do_what_the_new_ones_do(old: list[str], new: list[str]) -> None:
    got, warned = run(*old)
    want, silent = run(*new)
    assert got == want
    assert silent == ""
    names = {word.split("=")[0] for word in old if word.startswith("-")}
    assert len(warned.splitlines()) == len(names), "one warning a name, however often it is given"
    for name in names:
        assert f"{name} is now called --" in warned


def test_old_and_new_together() -> None:
    got, _ = run("--confirm", "0.5", "--peak-threshold", "0.6")
    assert got["peak_threshold"] == ("0.5", "0.6")


def test_a_value_that_looks_like_an_old_name_is_a_value() -> None:
    got, warned = run("--peak-threshold", "--confirm")
    assert got["peak_threshold"] == ("--confirm",)
    assert warned == ""


def test_help_does_not_show_old_names() -> None:
    text = CliRunner().invoke(command, ["--help"]).output
    assert "--peak-threshold" in text
    assert "--confirm" not in text
    assert "--even" not in text
