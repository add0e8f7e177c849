"""How an archive is listened to in a test, and what has become of it so far."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from stream.archive.listener import Setup
from stream.decisions.derived import DerivedSpec
from stream.inference.session import Model


def setup(model: Path, **changes: object) -> Setup:
    loaded = Model.load(model, "cpu")
    fields = {
        "model": str(model),
        "sha256": loaded.sha256,
        "rules": loaded.card.detector,
        "derived": DerivedSpec(),
    }
    return Setup(**(fields | changes))  # type: ignore[arg-type]


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def done_in(out: Path) -> int:
    """Recordings that the journal of a scan says are done."""
    journal = Path(f"{out}.scan")
    if not journal.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{journal}?mode=ro", uri=True, timeout=1) as connection:
            return int(connection.execute("SELECT count(*) FROM recordings").fetchone()[0])
    except sqlite3.Error:  # not made yet
        return 0
