"""Every block, table and link of the README and the guides holds: code runs, options exist, figures have a command."""

from __future__ import annotations

import ast
import csv
import importlib.util
import itertools
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from stream.inference.card import ModelCard
from tests.support.command import environment, stream_classify
from tests.support.guides import (
    GUIDES,
    PAGES,
    ROOT,
    Block,
    blocks,
    check_arguments,
    commands,
    make_talk,
    options_of_all_commands,
    own_arguments,
    prose,
    sections,
    text_of,
    without_microphone,
)

README_LINES = 150
# Blocks that cannot run in a test, by what they need. A new one is added here on purpose or not at all.
NOT_RUN = {
    "README.md": ["serves until it is stopped"],
    "stream/README.md": [
        "changes the shell it runs in",
        "needs a network stream",
        "needs PulseAudio, FFmpeg or ALSA",
        "listens for hours",
        "needs a broker",
        "needs a person at a terminal",
        "needs clips that were judged",
        "needs a cluster",
        "sends messages",
        "needs a microphone and ffmpeg",
        "serves until it is stopped",
        "needs systemd",
        "needs a microphone",
        "needs WSL",
        "needs WSL",
        "needs Docker",
        "installs packages",
        "needs PulseAudio",
        "needs PulseAudio",
    ],
    "stream/server/README.md": [
        "serves until it is stopped",
        "takes minutes",
        "takes minutes",
        "needs a cluster",
        "needs systemd",
        "needs Docker",
        "needs Docker",
    ],
    "export/README.md": [
        "needs recordings and a microphone",
        "needs a recording",
        "needs recordings",
        "trains for minutes",
        "trains for minutes",
        "needs words.py and words.safetensors",
        "needs offline.onnx",
        "needs an LSTM model.pt",
        "needs Speech Commands and trains for minutes",
        "needs the Free Spoken Digit Dataset and trains for minutes",
        "needs UrbanSound8K and trains for minutes",
    ],
    "CONTRIBUTING.md": ["installs packages and runs the suite"],
}
# Run by others: the walk, .ci/run, the wheel's test.
RUN_ELSEWHERE = ("walk", "keras walk", "home walk", "station walk", "api walk", "install", "test command")
LANGUAGES = {"sh", "python", "json", "csv", "tsv", "text", "toml"}

every_guide = pytest.mark.parametrize("guide", GUIDES)


def each(*found: Block) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", found, ids=str)


# -- what runs ---------------------------------------------------------------------------------------------------------


@each(*[block for block in blocks("python") if block.mark not in RUN_ELSEWHERE])
def test_python_blocks_run(block: Block, tmp_path: Path) -> None:
    if "from export" in block.code:
        pytest.importorskip("torch")
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    (tmp_path / "block.py").write_text(block.code)
    done = subprocess.run(
        [sys.executable, "block.py"],
        cwd=tmp_path,
        env=environment(HOME=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    if "print(" in block.code:
        assert done.stdout.strip()


RUN_HERE = [block for block in blocks("sh") if not block.not_run and block.mark not in RUN_ELSEWHERE]


# As the commands beside them call them.
SETTINGS = {"stream/README.md": "house.toml", "stream/server/README.md": "station.toml"}


@each(*RUN_HERE)
def test_commands_run(block: Block, tmp_path: Path) -> None:
    """As printed, with a recording in place of a microphone."""
    make_talk(tmp_path / "talk.flac")
    for settings in blocks("toml"):
        if settings.guide == block.guide:
            (tmp_path / SETTINGS[settings.guide]).write_text(settings.code)
    for line in block.code.splitlines():
        for words in commands(line):
            arguments = own_arguments(words)
            assert arguments is not None, f"{line}: mark the block with why it cannot run"
            replaced = without_microphone(arguments, "talk.flac")
            if replaced is not None:
                done = stream_classify(*replaced, cwd=tmp_path, HOME=str(tmp_path))
                assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_blocks_that_cannot_run_are_listed() -> None:
    found = {guide: [b.not_run for b in blocks() if b.guide == guide and b.not_run] for guide in GUIDES}
    assert found == NOT_RUN


def test_every_block_has_a_language() -> None:
    for block in blocks():
        assert block.language in LANGUAGES, str(block)


# -- what is shown -----------------------------------------------------------------------------------------------------


@each(*blocks("sh"))
def test_commands_shown_are_accepted(block: Block) -> None:
    """Whether it can run here or not: click reads every command, settings have their names, modules are there."""
    checked = 0
    for line in block.code.splitlines():
        for words in commands(line):
            arguments = own_arguments(words)
            if arguments is not None:
                check_arguments(arguments)
                check_settings(arguments)
                checked += 1
            elif "-m" in words and words[words.index("-m") + 1].startswith("export."):
                check_module(words[words.index("-m") + 1], words)
                checked += 1
    assert checked or block.mark in ("test command", "installs packages") or block.not_run


def check_settings(arguments: list[str]) -> None:
    """``--set NAME=VALUE`` and the names that a search compares."""
    pairs = [after for before, after in itertools.pairwise(arguments) if before == "--set"]
    if "--search" in arguments:
        pairs += [
            f"{word.split('=')[0]}={word.split('=')[1].split(',')[0]}" for word in arguments if "=" in word
        ]
    if pairs:
        pytest.importorskip("torch")
        from export.training.config import TrainConfig
        from export.training.settings import change

        change(TrainConfig(data="recordings"), dict(pair.split("=", 1) for pair in pairs))


def check_module(name: str, words: list[str]) -> None:
    """The recipe exists, and its source knows the options."""
    found = importlib.util.find_spec(name)
    assert found is not None, name
    assert found.origin is not None
    path = Path(found.origin)
    files = [path] if path.name != "__init__.py" else path.parent.glob("*.py")
    source = "".join(file.read_text() for file in files)
    for option in words:
        if option.startswith("-") and option != "-m":
            assert f'"{option}"' in source, f"{name} has no {option}"


@every_guide
def test_options_named_in_prose_exist(guide: str) -> None:
    options = options_of_all_commands()
    known = set().union(*options.values())
    for code in re.findall(r"`([^`\n]+)`", prose(guide)):
        words = code.split()
        if words[0] == "python" and words[1:2] == ["-m"] and words[2].startswith(("export.", "tests.")):
            assert importlib.util.find_spec(words[2]) is not None, code
        if words[0].startswith("--"):
            assert words[0].split("=")[0] in known, code
        elif words[0] == "stream-classify":
            command = words[1] if len(words) > 1 and words[1] in options else ""
            for word in words[1:]:
                if word.startswith("-") and word != "-":
                    assert word in options[command], code


def test_the_listening_guide_names_every_option() -> None:
    text = text_of("stream/README.md")
    table = next(
        section for section in sections("stream/README.md") if section.startswith("## Options by task")
    )
    from stream.cli.app import app

    for parameter in app.params:
        if getattr(parameter, "hidden", False):
            continue
        longest = max(parameter.opts, key=len)
        if longest == "--version":
            continue
        assert f"`{longest}`" in table, f"{longest} is in no task"
        assert longest in text


def test_the_export_guide_names_every_setting() -> None:
    pytest.importorskip("torch")
    from export.training.settings import setting_names

    section = next(s for s in sections("export/README.md") if s.startswith("### Settings"))
    cells = [row.split("|")[1] for row in re.findall(r"^\|.*\|$", section, flags=re.M)]
    shown = {name for cell in cells for name in re.findall(r"`([\w.]+)`", cell)}
    names = set(setting_names())
    assert shown <= names, f"not settings: {sorted(shown - names)}"
    by_option = {"model", "data", "labels", "unknown", "activation", "background", "strict", "cache", "arch"}
    by_option |= {"hidden", "layers", "dropout", "fit.activation", "fit.epochs"}
    by_option |= {n for n in names if n.startswith("features.") or n.endswith(("_folds", "_groups"))}
    assert names - by_option <= shown, f"not in the guide: {sorted(names - by_option - shown)}"


@each(*[block for block in blocks("json") if block.mark != "card"])
def test_json_lines_shown_are_what_is_written(block: Block) -> None:
    """A line may be shortened, but has no field that the program does not write."""
    arguments = block.mark.removeprefix("output: ").split() if block.mark else ["--demo", "--fast"]
    done = stream_classify(*arguments)
    assert done.returncode == 0, done.stderr
    written = {record["type"]: record for record in map(json.loads, done.stdout.splitlines())}
    for line in block.code.splitlines():
        shown = json.loads(line)
        real = written[shown["type"]]
        assert set(shown) <= set(real)
        assert [name for name in real if name in shown] == list(shown), (
            "in the order in which they are written"
        )
        for name, value in shown.items():
            assert isinstance(value, type(real[name])), name
        if block.mark:
            assert line in done.stdout.splitlines()


@each(*[block for block in blocks("json") if block.mark == "card"])
def test_cards_shown_are_cards(block: Block) -> None:
    assert ModelCard.from_json(block.code).labels


@each(*blocks("csv", "tsv"))
def test_manifests_shown_can_be_read(block: Block, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from export.data.dataset import read_dataset

    path = tmp_path / block.mark.removeprefix("data: ")
    path.write_text(block.code)
    rows = list(csv.DictReader(block.code.splitlines(), delimiter="\t" if block.language == "tsv" else ","))
    for row in rows:
        (tmp_path / row["filename"]).parent.mkdir(exist_ok=True)
        make_talk(tmp_path / row["filename"])
    data = read_dataset(str(path))
    assert set(data.labels) == {"cat", "dog"}
    assert len(data.recordings) == len({row["filename"] for row in rows})


@cache
def literals() -> list[str]:
    """The constant parts of all strings in the packages, of two words or more."""
    found = []
    for path in [*(ROOT / "stream").rglob("*.py"), *(ROOT / "export").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(" ".join(node.value.split()))
    return [text for text in found if len(text.split()) >= 2]


def said_somewhere(message: str) -> bool:
    """Whether the program has such a message: its fixed parts in ours, or ours in its fixed parts."""
    parts = [part.strip(" ;:") for part in re.split(r"\d+|…", message)]
    parts = [part for part in parts if len(part.split()) >= 2]
    return any(part in text for part in parts for text in literals()) or any(
        text in message for text in literals() if len(text.split()) >= 3
    )


def test_refusals_explained_are_said() -> None:
    """The first column of the table of refusals holds messages of the program, or names of its errors."""
    import stream.errors

    section = next(s for s in sections("export/README.md") if s.startswith("## Refusals"))
    rows = [row.split("|")[1].strip() for row in re.findall(r"^\| .*\|$", section, flags=re.M)][2:]
    assert len(rows) > 15
    for message in rows:
        assert hasattr(stream.errors, message.split(",")[0]) or said_somewhere(message), message


def test_reasons_for_silence_are_said() -> None:
    section = next(s for s in sections("stream/README.md") if s.startswith("### Why is it silent"))
    quoted = re.findall(r'^\| (?:`silent`, )?"([^"]+)"', section, flags=re.M)
    assert len(quoted) >= 5
    for message in quoted:
        assert said_somewhere(message) or any(message in text for text in literals()), message


def test_exit_codes_shown_are_those_of_the_program() -> None:
    from stream.cli import _CODES

    section = next(s for s in sections("stream/README.md") if s.startswith("## Options by task"))
    shown = {int(code) for code in re.findall(r"^\| (\d) \|", section, flags=re.M)}
    assert shown == {0, 1, *_CODES.values()}


def test_the_soak_shown_has_the_lines_of_a_certificate() -> None:
    (block,) = [block for block in blocks("text") if "certified" in block.code]
    lines = re.findall(r"^ok  ([^:]+?)(?: [\d.]+)?:", block.code, flags=re.M)
    assert len(lines) == 7
    for line in lines:
        assert said_somewhere(line), line


# -- form --------------------------------------------------------------------------------------------------------------


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) <= README_LINES


def test_the_python_version_is_the_one_that_is_required() -> None:
    required = re.search(
        r'^requires-python = ">=(3\.\d+)"', (ROOT / "pyproject.toml").read_text(), flags=re.M
    )
    assert required is not None
    assert f"Python {required[1]} or newer" in text_of("README.md")


@every_guide
def test_figures_stand_beside_commands(guide: str) -> None:
    """The text right before a table of figures names the command that made them, or that shows them."""
    for section in sections(guide):
        parts = re.split(r"((?:^\|.*\n)+)", section, flags=re.M)  # text, table, text, table …
        for before, table in zip(parts[::2], parts[1::2], strict=False):
            if re.search(r"\d\.\d", table):
                assert re.search(r"`(stream-classify|python -m) [^`]+`", before), (
                    f"no command before\n{table}"
                )


@pytest.mark.parametrize("guide", PAGES)
def test_links_lead_somewhere(guide: str) -> None:
    for text, target in re.findall(r"\[([^\]]+)\]\(([^)\s]+)\)", prose(guide)):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / guide).parent / name if name else ROOT / guide
        assert path.exists(), f"[{text}]({target})"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.M)
            assert anchor in {slug(heading) for heading in headings}, f"[{text}]({target})"


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@every_guide
def test_pictures_are_there(guide: str) -> None:
    for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text_of(guide)):
        assert ((ROOT / guide).parent / target).is_file()
