"""The public door: what is exported is what is there, documented and typed, and defaults told twice agree."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import stream
from stream.capture.opening import open_source
from stream.classifier import StreamClassifier
from stream.cli.app import app
from stream.features.conditioner import MAX_GAP_SECONDS
from stream.inference.session import Model
from stream.inference.verify import verify
from stream.outputs.jsonl import JsonLines
from stream.recording import classify

SOURCE = Path(stream.__file__)


def type_checking_names() -> dict[str, str]:
    """name -> module, of what a type checker sees ``stream`` export."""
    for node in ast.parse(SOURCE.read_text()).body:
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            return {
                alias.name: str(statement.module)
                for statement in node.body
                if isinstance(statement, ast.ImportFrom)
                for alias in statement.names
            }
    raise AssertionError("no TYPE_CHECKING block")


def test_the_three_lists_of_names_are_one() -> None:
    assert type_checking_names() == stream._HOME_OF
    assert set(stream.__all__) == set(stream._HOME_OF) | {"__version__"}
    assert dir(stream) == sorted(stream.__all__)
    assert len(set(stream.__all__)) == len(stream.__all__)


@pytest.mark.parametrize("name", sorted(set(stream.__all__) - {"__version__"}))
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(stream, name)
    assert value.__module__ == stream._HOME_OF[name]
    if not (inspect.isclass(value) and issubclass(value, Exception)):  # the tree in errors.py explains those
        assert inspect.getdoc(value)
        assert value.__doc__, f"{name} has no docstring of its own"
    from stream import errors

    if inspect.isclass(value) and issubclass(value, Exception):
        assert f" {name}" in (errors.__doc__ or "")


def test_every_error_is_in_the_tree_that_its_docstring_draws() -> None:
    from stream import errors

    for name, value in vars(errors).items():
        if inspect.isclass(value) and issubclass(value, Exception):
            assert value is errors.StreamClassifyError or issubclass(value, errors.StreamClassifyError)
            assert name in (errors.__doc__ or "")


def test_public_methods_are_documented() -> None:
    bare = [
        f"{name}.{key}"
        for name in stream.__all__
        if inspect.isclass(value := getattr(stream, name))
        for key, member in vars(value).items()
        if inspect.isfunction(member) and not key.startswith("_") and not inspect.getdoc(getattr(value, key))
    ]
    assert set(bare) <= ALREADY_CLEAR


# The protocol or the attribute list above says what these are.
ALREADY_CLEAR = {
    "ArraySource.close",
    "ArraySource.info",
    "DetectorSpec.rule",
    "FileSource.close",
    "FileSource.info",
    "JsonLines.close",
    "JsonLines.status",
    "JsonLines.write",
    "Microphone.close",
    "Microphone.info",
    "ModelCard.to_json",
}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Telepathy'"):
        stream.Telepathy  # noqa: B018
    assert not hasattr(stream, "numpy")


def test_names_are_imported_when_first_used() -> None:
    code = (
        "import sys, stream; assert 'numpy' not in sys.modules; stream.Model; "
        "assert 'stream.inference.session' in sys.modules; assert 'stream.capture.device.microphone' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=SOURCE.parents[1], timeout=60)


def default(function: Any, name: str) -> Any:
    return inspect.signature(function).parameters[name].default


def option(name: str) -> Any:
    """What the root command makes of an option that is not given."""
    return app.make_context("stream-classify", []).params[name]


def test_defaults_that_are_told_twice_agree() -> None:
    for name in ("block_samples", "channels", "fast"):
        assert option(name) == default(open_source, name), name
    assert option("format_") == default(open_source, "format")
    assert option("repair") == default(StreamClassifier, "repair")
    assert option("provider") == default(Model.load, "provider") == default(Model.bundled, "provider")
    assert option("provider") == default(Model.__init__, "provider") == default(verify, "provider")
    assert option("model") == default(Model.bundled, "name")
    assert option("scores") == default(JsonLines, "scores")
    assert option("onsets") == default(JsonLines, "onsets")
    assert default(StreamClassifier, "max_gap") == MAX_GAP_SECONDS
    assert default(classify, "detector") is default(StreamClassifier, "detector") is None
    for name in ("max_gap", "reset_after", "sample_rate", "channel"):  # None: the function's own default
        assert option(name) is None or not isinstance(option(name), (int, float))


def test_help_tells_the_defaults_that_functions_have() -> None:
    text = {p.name: getattr(p, "help", "") or "" for p in app.params}
    assert f"[default: {MAX_GAP_SECONDS:g}]" in text["max_gap"]


def test_when_late_is_the_microphones_own_default() -> None:
    from stream.capture.device.microphone import Microphone

    assert option("when_late") == default(Microphone, "when_late")
    (late,) = [p for p in app.params if p.name == "when_late"]
    assert default(Microphone, "when_late") in late.type.choices  # type: ignore[attr-defined]


def test_one_detector_spec_default() -> None:
    from stream.decisions.spec import ClassRule, DetectorSpec
    from stream.inference.card import ModelCard

    card = ModelCard(name="x", labels=("a",), activation="sigmoid", features=stream.MfccSpec())
    assert card.detector == DetectorSpec() == DetectorSpec(default=ClassRule())


def test_the_door_of_export_is_lazy_and_complete() -> None:
    """``import export`` costs nothing; each name it offers is there, and there is no other."""
    code = "import sys, export; assert not {'torch', 'onnx', 'numpy'} & set(sys.modules), sys.modules.keys()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    import export

    assert sorted(export._HOME_OF) == sorted(export.__all__) == dir(export)
    pytest.importorskip("torch")
    for name in export.__all__:
        assert getattr(export, name).__doc__, name
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = export.nothing_such
