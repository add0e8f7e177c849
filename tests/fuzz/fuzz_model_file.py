"""Coverage-guided fuzzing of a model file's first look and of the card (needs atheris, a tool, not a dependency).

    python tests/fuzz/fuzz_model_file.py scan -runs=100000 CORPUS_FOLDER
    python tests/fuzz/fuzz_model_file.py card -runs=100000 CORPUS_FOLDER

Anything but success or one of our own errors stops it. What it finds becomes a case in test_hostile_models.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
with atheris.instrument_imports(include=["stream"]):
    from stream.errors import StreamClassifyError
    from stream.inference.card import Golden, ModelCard
    from stream.inference.onnx_file import scan

from tests.support.toy_models import toy_bytes, toy_card


def fuzz_scan(data: bytes) -> None:
    """The wire format, then whatever card and golden vectors the metadata hold."""
    try:
        metadata = scan(data, "fuzzed")
        ModelCard.from_metadata(metadata)
        Golden.from_metadata(metadata)
    except StreamClassifyError:
        return


def fuzz_card(data: bytes) -> None:
    """The card's JSON; what is accepted must survive a round trip and give its initial states."""
    try:
        card = ModelCard.from_json(data)
    except StreamClassifyError:
        return
    assert ModelCard.from_json(card.to_json()) == card
    for state in card.states:
        state.initial(2)


TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], bytes]]] = {
    "scan": (fuzz_scan, toy_bytes),
    "card": (fuzz_card, lambda: toy_card().to_json().encode()),
}


def main() -> None:
    name, *rest = sys.argv[1:]
    target, seed = TARGETS[name]
    folders = [Path(word) for word in rest if not word.startswith("-")]
    if folders:
        folders[0].mkdir(parents=True, exist_ok=True)
        (folders[0] / "seed").write_bytes(seed())
    atheris.Setup([sys.argv[0], *rest], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
