"""The page for contributors names every package folder and every law, and nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.guides import ROOT, blocks, text_of

PACKAGES = ("stream", "export", "tests")


def folders() -> set[str]:
    found = {path.parent for top in PACKAGES for path in (ROOT / top).rglob("*.py")}
    return {path.relative_to(ROOT).as_posix() + "/" for path in found if "__pycache__" not in path.parts}


def test_every_folder_has_its_line() -> None:
    (listed,) = [block for block in blocks("text") if block.mark == "folders"]
    lines = [line.split(maxsplit=1) for line in listed.code.splitlines() if line.strip()]
    assert all(len(line) == 2 for line in lines), "a folder and what it is for"
    names = [name for name, _ in lines]
    assert len(set(names)) == len(names)
    assert set(names) == folders(), f"not listed: {folders() - set(names)}; gone: {set(names) - folders()}"


def test_every_law_is_in_the_contract() -> None:
    source = (ROOT / "tests" / "classifier" / "test_contract.py").read_text()
    section = text_of("CONTRIBUTING.md").split("## The laws")[1].split("\n## ")[0]
    named = re.findall(r"`(test_\w+)`", section)
    assert len(named) > 5
    for name in named:
        assert f"def {name}(" in source, name
    for name in re.findall(r"@each_stage\n(?:@.*\n)*def (test_\w+)", source):
        assert name in named, f"{name} is not in the table of laws"


def test_files_named_exist() -> None:
    """Every path in backticks on the page."""
    for name in re.findall(r"`((?:stream|export|tests|assets|\.ci)/[\w./-]+)`", text_of("CONTRIBUTING.md")):
        assert (ROOT / name).exists() or Path(ROOT / name).with_suffix(".py").exists(), name
