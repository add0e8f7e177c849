"""Build the compiled feature kernel of this checkout: ``python .ci/build_kernel.py``. Needs gcc (12 or later) or clang.

Standard library only, and imports nothing of this project: the packaging hook beside it loads this file by its path.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

NATIVE = Path(__file__).resolve().parents[1] / "stream" / "features" / "native"
SOURCE = NATIVE / "mfcc.c"
LIBRARY = NATIVE / "_mfcc.so"
COMPILE_SECONDS = 300  # after which a compiler is taken to hang
# No contraction to fused multiply-add: the same bits on every machine and at every vector width.
FLAGS = (
    "-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden",
    "-Wall", "-Wextra", "-Wno-psabi", "-fPIC", "-shared",
)  # fmt: skip


def build_kernel(target: Path = LIBRARY, compiler: str | None = None) -> str | None:
    """Build the library.

    Args:
        target: file to write; replaced whole or not at all.
        compiler: command; default the environment's CC, else "cc".

    Returns:
        The compiler's first complaint, or None when all went well.
    """
    command = shlex.split(compiler or os.environ.get("CC") or "cc")
    draft = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        done = subprocess.run(
            [*command, *FLAGS, str(SOURCE), "-o", str(draft)],
            capture_output=True,
            text=True,
            check=False,
            timeout=COMPILE_SECONDS,
        )
        if done.returncode:
            return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
        draft.replace(target)
    except subprocess.TimeoutExpired:
        return f"{command[0]}: not done in {COMPILE_SECONDS} s"
    except OSError as error:
        return f"{command[0]}: {error.strerror or error}"
    finally:
        draft.unlink(missing_ok=True)
    return None


def main() -> int:
    complaint = build_kernel()
    print(complaint or LIBRARY, file=sys.stderr if complaint else sys.stdout)
    return 1 if complaint else 0


if __name__ == "__main__":
    sys.exit(main())
