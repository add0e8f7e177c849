"""The README and the guides as data: code blocks with their marks, tables, links, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import click
import numpy as np
import soundfile

from stream.capture.files import read_audio

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ("README.md", "stream/README.md", "stream/server/README.md", "export/README.md", "CONTRIBUTING.md")
PAGES = (*GUIDES, "tests/README.md", "CHANGELOG.md", "assets/MODELS.md")  # whose links are checked
CLASSES = ("bird", "cat", "dog")
_BLOCK = re.compile(
    r"(?:<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        guide: path of the file, from the root.
        language: behind the fence: sh, python, json, csv, tsv or text.
        mark: the comment right above it; "" if there is none.
        code: the lines.
    """

    guide: str
    language: str
    mark: str
    code: str

    def __str__(self) -> str:
        return f"{self.guide}: {self.code.strip().splitlines()[0][:50]}"

    @property
    def not_run(self) -> str:
        """Why the block cannot run in a test; "" if it can."""
        return self.mark.removeprefix("not run: ") if self.mark.startswith("not run: ") else ""


def text_of(guide: str) -> str:
    return (ROOT / guide).read_text(encoding="utf-8")


def blocks(*languages: str) -> list[Block]:
    """All blocks of all guides in these languages; without any, all."""
    found = [
        Block(guide, match["language"], match["mark"] or "", match["code"])
        for guide in GUIDES
        for match in _BLOCK.finditer(text_of(guide))
    ]
    return [block for block in found if not languages or block.language in languages]


def prose(guide: str) -> str:
    """The guide without its blocks."""
    return _BLOCK.sub("", text_of(guide))


def sections(guide: str) -> Iterator[str]:
    """The text between two headings, with the first of them."""
    yield from re.split(r"^(?=#{1,4} )", prose(guide), flags=re.M)


def commands(line: str) -> list[list[str]]:
    """The words of each command of a shell line: ``a | b && c`` has three."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("|&"):
            found.append([])
        else:
            found[-1].append(word)
    return [words for words in found if words]


def own_arguments(words: list[str]) -> list[str] | None:
    """What follows ``stream-classify`` in a command, wherever that is installed; None if it is another command."""
    names = [PurePath(word).name for word in words]
    if "stream-classify" not in names:
        return None
    end = words.index(">") if ">" in words else len(words)
    return words[names.index("stream-classify") + 1 : end]


def check_arguments(arguments: list[str]) -> None:
    """Let click read the arguments to the end: unknown options and values that are out of range are errors."""
    from stream.cli.app import app

    words = [word for word in arguments if word not in ("--list-devices", "--help", "--version")]
    context: Any = app.make_context("stream-classify", [], resilient_parsing=True)
    command = app.get_command(context, words[0]) if words and not words[0].startswith("-") else None
    try:
        if command is None:
            app.make_context("stream-classify", words)
        else:
            own = command.make_context(words[0], words[1:], parent=context)
            below = command.get_command(own, words[1]) if isinstance(command, click.Group) else None
            if below is not None:
                below.make_context(words[1], words[2:], parent=own)
    except click.BadParameter as error:
        if "does not exist" not in error.message:  # a file that the reader has and we have not
            raise


def options_of_all_commands() -> dict[str, set[str]]:
    """Long and short options by command; "" is listening."""
    from stream.cli.app import app

    context: Any = app.make_context("stream-classify", [], resilient_parsing=True)
    named = {name: app.get_command(context, name) for name in app.list_commands(context)}
    found = {"": _options(app)}
    for name, command in named.items():
        if command is not None:
            below = command.commands.values() if isinstance(command, click.Group) else ()
            found[name] = _options(command).union(*map(_options, below))
    return found


def _options(command: click.Command) -> set[str]:
    declared = {o for parameter in command.params for o in (*parameter.opts, *parameter.secondary_opts)}
    return declared | {"-h", "--help"}


def without_microphone(arguments: list[str], sound: str) -> list[str] | None:
    """The same command on a recording, at full speed; None where nothing is left of it without a microphone."""
    if "--list-devices" in arguments:
        return None
    if arguments and not arguments[0].startswith("-"):
        return arguments
    words = list(arguments)
    if "--device" in words:
        at = words.index("--device")
        del words[at : at + 2]
    if "--channel" in words:  # of a device with several
        at = words.index("--channel")
        del words[at : at + 2]
    if "--input" not in words and "--demo" not in words:
        words += ["--input", sound]
    return words if "--fast" in words else [*words, "--fast"]


def make_talk(path: Path) -> None:
    """A second of speech."""
    sound = read_audio(ROOT / "assets" / "demo.ogg", 16000)
    soundfile.write(path, sound[27 * 16000 : 28 * 16000], 16000)


def make_recordings(folder: Path, speakers: int = 8, takes: int = 2) -> None:
    """Three kinds of sound that a child tells apart, by made-up speakers."""
    rng = np.random.default_rng(0)
    time = np.arange(8000) / 16000
    for label in CLASSES:
        (folder / label).mkdir(parents=True)
        for speaker in range(speakers):
            pitch = rng.uniform(150, 400)
            for take in range(takes):
                if label == "cat":
                    sound = np.sin(2 * np.pi * pitch * time)
                elif label == "dog":
                    sound = rng.standard_normal(len(time))
                else:
                    sound = np.sin(2 * np.pi * (pitch + 1500 * time) * time)
                sound = 0.2 * sound + 0.005 * rng.standard_normal(len(time))
                soundfile.write(folder / label / f"speaker{speaker}_nohash_{take}.wav", sound, 16000)
