"""Settings, manifests, run configurations and checkpoints, damaged: a clear error or success, never anything else."""

from __future__ import annotations

import os
import random
import tempfile
from functools import cache
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stream.decisions.spec import DetectorSpec
from stream.errors import StreamClassifyError
from stream.settings.rule_texts import detector_spec

CASES = int(os.environ.get("STREAM_CLASSIFY_FUZZ", "300"))
many = settings(
    max_examples=CASES,
    deadline=2000,
    derandomize=CASES <= 300,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
FIELDS = ["threshold", "min_on", "min_off", "refractory", "smoothing"]
LABELS = ("speech", "music", "noise")
numbers = st.one_of(
    st.floats().map(str), st.integers().map(str), st.sampled_from(["", "1e999", "nan", "-0", "0x1", "½"])
)
rule_texts = st.one_of(
    numbers,
    st.builds("{}={}".format, st.sampled_from([*LABELS, "", "=", "speech=music"]), numbers),
    st.text(max_size=20),
)


def one_line(error: StreamClassifyError) -> None:
    assert str(error)
    assert len(str(error).splitlines()) == 1


@many
@given(
    st.dictionaries(
        st.sampled_from((*FIELDS, "peak_threshold")), st.lists(rule_texts, max_size=3), max_size=4
    )
)
@example({"threshold": ["nan"]})
@example({"smoothing": ["inf"]})
@example({"threshold": ["speech=1\n"]})
def test_rules_from_the_command_line(texts: dict[str, list[str]]) -> None:
    try:
        spec = detector_spec(DetectorSpec(), LABELS, texts)
    except StreamClassifyError as error:
        one_line(error)
        return
    for label in LABELS:
        rule = spec.rule(label)
        assert 0 < rule.threshold <= 1
        assert 0 <= rule.off_threshold <= rule.threshold
        assert rule.peak_threshold is None or rule.threshold <= rule.peak_threshold <= 1
        assert all(0 <= getattr(rule, name) <= 3600 for name in FIELDS[1:])


cells = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["a.wav", "../../etc/passwd", "/dev/zero", "speech", "0.5", "-1", "nan", "1e400", "a;b", "train", ""]
    ),
)
headers = st.sampled_from(
    [
        "filename,label",
        "filename,label,fold,split",
        "filename\tonset\toffset\tevent_label",
        "filename,fold,target,category,esc10,src_file,take",
        "filename",
        "",
        "label,label",
        "filename,label,speaker,group",
    ]
)


@many
@given(
    headers,
    st.lists(st.lists(cells, max_size=7), max_size=6),
    st.sampled_from([",", "\t"]),
    st.binary(max_size=8),
)
def test_manifests(tmp_path: Path, header: str, rows: list[list[str]], separator: str, tail: bytes) -> None:
    from export.data.dataset import read_dataset
    from export.data.splits import split_dataset

    lines = [header, *(separator.join(row) for row in rows)]
    path = tmp_path / "manifest.csv"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass") + tail)
    try:
        split_dataset(read_dataset(path))
    except StreamClassifyError as error:
        one_line(error)


def damaged(data: bytes, seed: int) -> bytes:
    """Bits flipped, runs cut out, doubled or replaced."""
    draw = random.Random(seed)
    out = bytearray(data)
    for _ in range(draw.randint(1, 6)):
        if not out:
            break
        at = draw.randrange(len(out))
        kind = draw.randrange(4)
        if kind == 0:
            out[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del out[at : at + draw.randint(1, 40)]
        elif kind == 2:
            out[at:at] = out[at : at + draw.randint(1, 40)]
        else:
            out[at : at + 4] = draw.randbytes(4)
    return bytes(out)


@many
@given(st.integers(0, 2**32))
def test_run_configurations(tmp_path: Path, seed: int) -> None:
    pytest.importorskip("torch")
    from export.cli.train import _config
    from export.training import TrainConfig

    path = tmp_path / "config.json"
    path.write_bytes(damaged(msgspec.json.encode(TrainConfig(data="recordings")), seed))
    try:
        _config(path, None)
    except StreamClassifyError as error:
        one_line(error)


@cache
def small_checkpoint() -> bytes:
    torch = pytest.importorskip("torch")
    from export.models import build, preset
    from export.models.checkpoint import save_model
    from tests.support.toy_models import toy_card

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        save_model(path, build(preset("gru", features=40, classes=3, hidden=4)), toy_card(states=()))
        return path.read_bytes()


@many
@given(st.integers(0, 2**32))
def test_checkpoints(tmp_path: Path, seed: int) -> None:
    from export.models.checkpoint import load_model

    path = tmp_path / "model.pt"
    path.write_bytes(damaged(small_checkpoint(), seed))
    try:
        load_model(path)
    except StreamClassifyError as error:
        one_line(error)


def test_a_pickle_that_would_run_code_does_not(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from export.models.checkpoint import load_model
    from stream.errors import CheckpointError

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save({"weights": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(CheckpointError, match="run code"):
        load_model(tmp_path / "trap.pt")
    assert not (tmp_path / "ran").exists()
