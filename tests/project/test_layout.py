"""The tests are laid out as their README says, and as the packages are."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
SMALL_LINES = 26
SMALL_FILES = {  # each the one home of something that several packages use
    "export/atomic.py",
    "export/cli/deprecated.py",
    "export/streaming/rules/registry.py",
    "stream/__main__.py",
    "stream/_version.py",
    "stream/capture/suffixes.py",
    "stream/features/framing.py",
    "stream/outputs/locking.py",
}
README = (TESTS / "README.md").read_text(encoding="utf-8")


def folders(path: Path) -> set[str]:
    return {each.name for each in path.iterdir() if (each / "__init__.py").is_file()}


def test_every_folder_is_in_the_readme_and_every_name_there_is_a_folder() -> None:
    table = re.search(r"\| folder \| what it tests \|\n(.*?)\n\n", README, flags=re.DOTALL)
    assert table
    cells = [row.split("|")[1] for row in table[1].splitlines()[1:]]
    named = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert set(named) == folders(TESTS)
    assert len(named) == len(set(named))


def test_every_package_has_a_folder_of_tests() -> None:
    assert folders(ROOT / "stream") <= folders(TESTS)


def test_every_script_and_marker_in_the_readme_is_there() -> None:
    for module in re.findall(r"python -m (tests\.[\w.]+)", README):
        assert (ROOT / (module.replace(".", "/") + ".py")).is_file(), module
    for file in re.findall(r"`((?:\w+/)+\w+\.(?:py|json))`", README):
        assert (TESTS / file).is_file(), file
    options = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    markers = re.search(r"\nmarkers = \[\n(.*?)\n\]", options, flags=re.DOTALL)
    assert markers
    table = re.search(r"\| marker \| meaning \|\n(.*?)\n\n", README, flags=re.DOTALL)
    assert table
    assert set(re.findall(r"^\| `(\w+)`", table[1], flags=re.MULTILINE)) == set(
        re.findall(r'"(\w+):', markers[1])
    )


def test_test_files_are_where_pytest_looks_and_helpers_are_not() -> None:
    for path in TESTS.rglob("*.py"):
        place = path.relative_to(TESTS).parts[0]
        if place == "support":
            assert not path.name.startswith("test_"), path
        elif place not in ("benchmarks", "fuzz") and path.parent != TESTS:
            assert path.name.startswith("test_") or path.name in ("__init__.py", "conftest.py"), path


def test_no_three_files_have_one_name_and_small_ones_are_few() -> None:
    """So that the list of files tells them apart, and is no longer than the ideas in them."""
    files = [path for package in ("stream", "export") for path in (ROOT / package).rglob("*.py")]
    times = Counter(path.name for path in files if path.name != "__init__.py")
    assert [name for name, count in times.items() if count > 2] == []
    small = {
        str(path.relative_to(ROOT)) for path in files if len(path.read_text().splitlines()) < SMALL_LINES
    }
    assert {path for path in small if not path.endswith("__init__.py")} <= SMALL_FILES


# What collecting does to a file, without a look at what is in it.
IMPORT = """
import sys, importlib, pytest
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except pytest.skip.Exception:
        pass
print("loaded", *sys.modules)
"""


def loaded_by_collecting(files: list[Path]) -> set[str]:
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
    assert len(names) > 50
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, *names], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return set(done.stdout.rsplit("loaded ", 1)[1].split())


def test_who_collects_tests_waits_for_nothing_heavy_and_those_of_the_runtime_not_for_torch() -> None:
    """In two halves: who collects all waits for what one of them does."""
    runtime = folders(ROOT / "stream") | {"classifier", "project"}
    files = [path for path in TESTS.rglob("test_*.py") if path.relative_to(TESTS).parts[0] != "benchmarks"]
    own = [path for path in files if path.relative_to(TESTS).parts[0] in runtime]
    loaded, others = (
        loaded_by_collecting(own),
        loaded_by_collecting([path for path in files if path not in own]),
    )
    assert "stream" in loaded
    assert not loaded & {"torch", "scipy", "sklearn", "matplotlib", "librosa"}
    assert not others & {"scipy", "sklearn", "matplotlib", "librosa"}
