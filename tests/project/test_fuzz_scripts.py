"""The fuzzing scripts still fit the code: each target takes its seeds, and seeds with bytes changed.

Their engine, atheris, is no dependency; a stand-in here calls the target a few times without any guidance.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.extras import needs

needs("onnx")
ROOT = Path(__file__).resolve().parents[2]
STAND_IN = """
import contextlib, pathlib, random

def instrument_imports(include):
    return contextlib.nullcontext()

def Setup(arguments, target):
    global seeds, work
    seeds = [path.read_bytes() for path in sorted(pathlib.Path(arguments[-1]).iterdir())]
    work = target

def Fuzz():
    rng = random.Random(0)
    for seed in seeds:
        work(seed)
        for _ in range(20):
            data = bytearray(seed)
            for _ in range(rng.randint(1, 4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            work(bytes(data))
    print("cases", 21 * len(seeds))
"""


@pytest.mark.parametrize(
    ("script", "target"),
    [
        ("fuzz_inputs.py", "audio"),
        ("fuzz_inputs.py", "script"),
        ("fuzz_inputs.py", "rules"),
        ("fuzz_inputs.py", "manifest"),
        ("fuzz_inputs.py", "config"),
        ("fuzz_inputs.py", "peer"),
        ("fuzz_model_file.py", "scan"),
        ("fuzz_model_file.py", "card"),
    ],
)
def test_a_target_takes_its_seeds(script: str, target: str, tmp_path: Path) -> None:
    if target == "config":
        pytest.importorskip("torch")
    (tmp_path / "atheris.py").write_text(STAND_IN)
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "fuzz" / script), target, str(tmp_path / "corpus")],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[-1]) >= 21
