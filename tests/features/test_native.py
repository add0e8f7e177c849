"""The compiled kernel: the same features as NumPy's, bits that depend on nothing but the frame, and doors that hold."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.errors import UsageError
from stream.features import mfcc as mfcc_module
from stream.features.kernel import ROWS, Kernel, make_kernel
from stream.features.mfcc import StreamingMfcc
from stream.features.native import NativeKernel, loading
from stream.features.native.loading import Library, library, load
from stream.features.numpy_kernel import NumpyKernel
from stream.features.spec import MfccSpec
from tests.support.sounds import make

SCRIPT = Path(__file__).resolve().parents[2] / ".ci" / "build_kernel.py"
build_kernel = runpy.run_path(str(SCRIPT))["build_kernel"]

SPECS = {
    "default": MfccSpec(),
    "rooms": MfccSpec(win_length=512, hop_length=320, n_mels=48, n_mfcc=48, f_min=20.0),
    "log-mel": MfccSpec(n_mfcc=None, n_mels=64),
    "few, htk": MfccSpec(n_mfcc=13, n_mels=23, mel_scale="htk", mel_norm=None, dct_norm=None),
    "odd window": MfccSpec(n_fft=256, win_length=201, hop_length=63, n_mels=20, n_mfcc=20),
    "long": MfccSpec(n_fft=2048, win_length=1200, hop_length=441, n_mels=128, n_mfcc=17, f_max=7000.0),
    "longer": MfccSpec(n_fft=1024, win_length=1024),
    "shortest": MfccSpec(n_fft=32, win_length=32, hop_length=8, n_mels=4, n_mfcc=4),
    "empty bands": MfccSpec(n_fft=128, win_length=128, hop_length=64, n_mels=60, n_mfcc=10),
}


def build(folder: Path, compiler: str | None = None) -> Library:
    if shutil.which((compiler or os.environ.get("CC") or "cc").split()[0]) is None:
        pytest.skip("no C compiler here")
    target = folder / "_mfcc.so"
    complaint = build_kernel(target, compiler)
    assert complaint is None, complaint
    found, why = load(target)
    assert found is not None, why
    return found


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return build(tmp_path_factory.mktemp("native"))


def frames_of(sound: np.ndarray, spec: MfccSpec, dtype: Any) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(sound.astype(dtype), spec.n_fft)
    return windows[:: spec.hop_length]


def features_of(kernel: Kernel, sound: np.ndarray, spec: MfccSpec, rows: int = 64) -> np.ndarray:
    frames = frames_of(sound, spec, kernel.dtype)
    out = np.empty((len(frames), 1, kernel.width), np.float32)
    for at in range(0, len(frames), rows):
        kernel.compute(frames[at : at + rows], out[at : at + rows])
    return out[:, 0]


def sounds() -> np.ndarray:
    """Speech, digital silence, a tone at full scale, hiss near the floor."""
    tone = np.sin(np.arange(4000, dtype=np.float32) * 0.7)
    hiss = np.random.default_rng(1).standard_normal(4000).astype(np.float32) * 1e-5
    return np.concatenate([make("speech", 16000, 0.5), np.zeros(4000, np.float32), tone, hiss])


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_agrees_with_numpy_to_rounding(spec: MfccSpec, native: Library) -> None:
    ours = features_of(NativeKernel(native, spec), sounds(), spec)
    theirs = features_of(NumpyKernel(spec, ROWS), sounds(), spec)
    assert ours.shape == theirs.shape
    # In dB. A mel band of a few bins rounds to float32's 7 digits; a DCT without norm sums up to 64 of them.
    np.testing.assert_allclose(ours, theirs, atol=2e-3, rtol=2e-6)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_a_frames_bits_do_not_depend_on_its_company(spec: MfccSpec, native: Library) -> None:
    kernel = NativeKernel(native, spec)
    whole = features_of(kernel, sounds(), spec)
    frames = frames_of(sounds(), spec, np.float32)
    alone = np.concatenate([kernel.compute_one(kernel.prepare(frame)) for frame in frames])
    np.testing.assert_array_equal(alone, whole)
    np.testing.assert_array_equal(features_of(kernel, sounds(), spec, rows=7), whole)
    np.testing.assert_array_equal(features_of(NativeKernel(native, spec), sounds(), spec), whole)


@pytest.mark.parametrize("name", ["native", "numpy"])
def test_chunks_change_nothing_with_either_kernel(
    name: str, native: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose(spec: MfccSpec) -> Kernel:
        return NativeKernel(native, spec) if name == "native" else NumpyKernel(spec, ROWS)

    monkeypatch.setattr(mfcc_module, "make_kernel", choose)
    sound = sounds()
    whole = StreamingMfcc().push(sound)
    for size in (1, 7, 159, 160, 161, 511, 512, 1280, 12_000):
        stage = StreamingMfcc()
        parts = [stage.push(sound[at : at + size]) for at in range(0, len(sound), size)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
    kind = NativeKernel if name == "native" else NumpyKernel
    assert isinstance(stage._kernel, kind)


@pytest.mark.parametrize("compiler", ["cc -DWIDE=", "cc -O1 -DWIDE=", "cc -DWIDE= -march=x86-64-v3"])
def test_the_same_bits_at_every_vector_width(compiler: str, native: Library, tmp_path: Path) -> None:
    if "march" in compiler and " avx2 " not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has no AVX2")
    other = build(tmp_path, compiler)
    for spec in SPECS.values():
        ours = features_of(NativeKernel(native, spec), sounds(), spec)
        np.testing.assert_array_equal(features_of(NativeKernel(other, spec), sounds(), spec), ours)


def test_a_bad_sample_spoils_its_own_frames_and_no_other(native: Library) -> None:
    spec = MfccSpec()
    kernel, sound = NativeKernel(native, spec), sounds()
    clean = features_of(kernel, sound, spec)
    for value in (np.nan, np.inf, -np.inf):
        bad = sound.copy()
        bad[5000] = value
        got = features_of(kernel, bad, spec)
        touched = np.array([t * 160 + 56 <= 5000 < t * 160 + 456 for t in range(len(got))])
        assert touched.sum() in (2, 3)
        assert not np.isfinite(got[touched]).any()
        away = np.array([not t * 160 <= 5000 < t * 160 + 512 for t in range(len(got))])
        np.testing.assert_array_equal(got[away], clean[away])


def test_lengths_it_does_not_know_are_left_to_numpy() -> None:
    for n_fft in (400, 480, 500, 16):
        spec = MfccSpec(n_fft=n_fft, win_length=n_fft, hop_length=n_fft // 2, n_mels=8, n_mfcc=8)
        assert not NativeKernel.can(spec)
        assert isinstance(make_kernel(spec), NumpyKernel)


def test_frames_it_would_misread_are_refused(native: Library) -> None:
    kernel = NativeKernel(native, MfccSpec())
    out = np.empty((4, 1, 40), np.float32)
    for frames in (
        np.zeros((4, 512)),
        np.zeros((4, 511), np.float32),
        np.zeros((4, 1024), np.float32)[:, ::2],
        np.zeros(512, np.float32),
    ):
        with pytest.raises(ValueError, match="want float32"):
            kernel.compute(frames, out)
    with pytest.raises(ValueError, match="want C-ordered"):
        kernel.compute(np.zeros((4, 512), np.float32), out[:3])


def test_a_library_of_another_kind_or_version_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, native: Library
) -> None:
    junk = tmp_path / "junk.so"
    junk.write_bytes(b"\x7fELF no library")
    assert load(junk)[0] is None
    monkeypatch.setattr(loading, "VERSION", 999)
    build_path = tmp_path / "_mfcc.so"
    assert build_kernel(build_path) is None
    found, why = load(build_path)
    assert found is None
    assert "another version" in why


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loading, "NAME", "absent.so")
    for value, want in (("0", None), ("", None)):
        monkeypatch.setenv("STREAM_CLASSIFY_NATIVE", value)
        library.cache_clear()
        assert library() is want
    monkeypatch.setenv("STREAM_CLASSIFY_NATIVE", "1")
    library.cache_clear()
    with pytest.raises(UsageError, match="not built"):
        library()
    monkeypatch.undo()
    library.cache_clear()


def test_a_compiler_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    assert "no-such-compiler" in (build_kernel(tmp_path / "a.so", "no-such-compiler") or "")
    if shutil.which("cc"):
        assert "error" in (build_kernel(tmp_path / "a.so", "cc -Dframe=+") or "")
    assert list(tmp_path.iterdir()) == []


def test_a_build_from_the_command_line_says_where(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "CC": "no-such-compiler"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "no-such-compiler" in done.stderr
    assert done.stdout == ""
