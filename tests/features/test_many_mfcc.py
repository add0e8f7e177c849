"""Frames of many streams at once are, to the bit, those of each alone, with either kernel."""

from __future__ import annotations

import numpy as np
import pytest

from stream.features import many_mfcc
from stream.features import mfcc as mfcc_module
from stream.features.kernel import Kernel
from stream.features.many_mfcc import ManyMfcc
from stream.features.mfcc import StreamingMfcc
from stream.features.numpy_kernel import NumpyKernel
from stream.features.spec import MfccSpec, WaveformSpec
from stream.snapshot import pack
from tests.support.sounds import make

SPECS = {
    "default": MfccSpec(),
    "rooms": MfccSpec(win_length=512, hop_length=320, n_mels=48, n_mfcc=48, f_min=20.0),
    "log-mel": MfccSpec(n_mfcc=None, n_mels=64),
    "not a power of two": MfccSpec(n_fft=400, win_length=400, hop_length=160),
}
SOUNDS = ("speech", "music", "noise")


@pytest.mark.parametrize("kernel", ["usual", "numpy"])
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_as_alone(spec: MfccSpec, kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kernel == "numpy":

        def choose(spec: MfccSpec, rows: int = 64) -> Kernel:
            return NumpyKernel(spec, rows)

        monkeypatch.setattr(mfcc_module, "make_kernel", choose)
        monkeypatch.setattr(many_mfcc, "make_kernel", choose)
    rng = np.random.default_rng(5)
    count = 9
    integers = [np.round(32767 * make(SOUNDS[i % 3], 16000, 2.0)).astype(np.int16) for i in range(count)]
    many = ManyMfcc(spec, count + 3)
    rows = np.array([11, 0, 3, 1, 7, 2, 9, 10, 5])
    together = [StreamingMfcc(spec, 1000 * i) for i in range(count)]
    alone = [StreamingMfcc(spec, 1000 * i) for i in range(count)]
    for row, stream in zip(rows.tolist(), together, strict=True):
        many.enter(row, stream)
    at = frames = inside = 0
    while at + 6000 < len(integers[0]):
        size = int(rng.choice([1, 159, 320, 800, 1600, 5000]))
        pieces = np.stack([sound[at : at + size] for sound in integers])
        floats = pieces * np.float32(2.0**-15)
        at += size
        want = [stream.push(piece) for stream, piece in zip(alone, floats, strict=True)]
        assert many.frames(int(many.held[rows[0]]), size) == len(want[0])
        if len(want[0]):
            before = many.held[rows].copy()
            got = many.compute(rows, floats, None)
            np.testing.assert_array_equal(many.held[rows], before, "not before commit")
            np.testing.assert_array_equal(many.compute(rows, pieces, np.float32(2.0**-15)), got)
            many.commit(rows)
            np.testing.assert_array_equal(got, np.stack(want))
            frames += got.shape[1]
            inside += got.shape[1]
        if len(want[0]) and rng.random() < 0.6:
            continue
        for row, one, other, piece in zip(rows.tolist(), together, alone, floats, strict=True):
            many.leave(row, one, inside)
            if not len(want[0]):
                one.push(piece)
            assert pack(one.snapshot()) == pack(other.snapshot())
            many.enter(row, one)
        inside = 0
    assert frames > 50


def test_what_it_computes() -> None:
    assert ManyMfcc.can(MfccSpec())
    assert not ManyMfcc.can(MfccSpec(deltas=1))
    assert not ManyMfcc.can(MfccSpec(pre_emphasis=0.97))
    assert not ManyMfcc.can(WaveformSpec())
