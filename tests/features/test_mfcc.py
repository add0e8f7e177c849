"""Features against librosa, with a tolerance, and against themselves, to the bit (see test_contract.py)."""

from __future__ import annotations

import numpy as np
import pytest

from stream import MfccSpec, SpecError, mfcc
from stream.features.deltas import CausalDelta
from stream.features.framing import frame_count, samples_needed
from stream.features.tables import dct_matrix, mel_bank
from tests.support.sounds import SOUNDS, make

SPECS = {
    "default": MfccSpec(),
    "librosa": MfccSpec(sample_rate=22050, n_fft=2048, win_length=2048, hop_length=512, n_mels=128),
    "htk": MfccSpec(mel_scale="htk", mel_norm=None, n_mfcc=13),
    "telephone": MfccSpec(
        sample_rate=8000, n_fft=255, win_length=200, hop_length=80, n_mels=23, n_mfcc=20, f_min=60, f_max=3800
    ),
    "log-mel": MfccSpec(n_mfcc=None, n_mels=64),
    "plain dct": MfccSpec(dct_norm=None, n_mfcc=20),
}


def by_librosa(samples: np.ndarray, spec: MfccSpec) -> np.ndarray:
    librosa = pytest.importorskip("librosa")
    power = librosa.feature.melspectrogram(
        y=samples,
        sr=spec.sample_rate,
        n_fft=spec.n_fft,
        hop_length=spec.hop_length,
        win_length=spec.win_length,
        center=False,
        n_mels=spec.n_mels,
        fmin=spec.f_min,
        fmax=spec.high,
        htk=spec.mel_scale == "htk",
        norm=spec.mel_norm,
    )
    decibels = librosa.power_to_db(power, top_db=None, amin=spec.log_floor)
    if spec.n_mfcc is None:
        return decibels.T
    return librosa.feature.mfcc(S=decibels, n_mfcc=spec.n_mfcc, norm=spec.dct_norm).T


@pytest.mark.parametrize("sound", SOUNDS)
@pytest.mark.parametrize("name", SPECS)
def test_equals_librosa(name: str, sound: str) -> None:
    spec = SPECS[name]
    samples = make(sound, spec.sample_rate)
    got = mfcc(samples, spec)
    assert got.dtype == np.float32
    # An unnormalised DCT sums to thousands of dB, where float32 itself resolves no better than 2.4e-4.
    rtol = 1e-6 if spec.dct_norm is None else 0
    np.testing.assert_allclose(got, by_librosa(samples, spec), atol=2e-3, rtol=rtol)


def test_equals_librosa_beside_any_full_scale_tone() -> None:
    """Rounding noise of the transform must stay under the logarithm's floor at every frequency."""
    rng = np.random.default_rng(1)
    time = np.arange(8000) / 16000
    for _ in range(60):
        tone = np.sin(2 * np.pi * rng.uniform(20, 7990) * time + rng.uniform(0, 6)).astype(np.float32)
        np.testing.assert_allclose(mfcc(tone, MfccSpec()), by_librosa(tone, MfccSpec()), atol=2e-3, rtol=0)


def test_pre_emphasis_is_librosas() -> None:
    librosa = pytest.importorskip("librosa")
    samples = make("speech", 16000)
    emphasised = librosa.effects.preemphasis(samples, coef=0.97, zi=[0.0]).astype(np.float32)
    got = mfcc(samples, MfccSpec(pre_emphasis=0.97))
    np.testing.assert_allclose(got, mfcc(emphasised, MfccSpec()), atol=2e-3, rtol=0)


def test_deltas_are_librosas_delayed() -> None:
    librosa = pytest.importorskip("librosa")
    spec = MfccSpec(n_mfcc=13, deltas=2, delta_width=9)
    frames = mfcc(make("speech", 16000), spec)
    assert frames.shape[1] == spec.width == 39
    centred = librosa.feature.delta(frames[:, :13].T, width=9, order=1, mode="interp").T
    np.testing.assert_allclose(frames[8:, 13:26], centred[4:-4], atol=1e-3)
    slopes = CausalDelta(9, 13)
    np.testing.assert_array_equal(frames[:, 26:], slopes.push(frames[:, 13:26]))


def test_deltas_hold_the_first_frame() -> None:
    constant = np.full((5, 3), 7.0, np.float32)
    np.testing.assert_allclose(CausalDelta(9, 3).push(constant), 0, atol=1e-6)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_frame_count_is_the_number_of_frames(spec: MfccSpec) -> None:
    for n in (0, 1, spec.n_fft - 1, spec.n_fft, spec.n_fft + spec.hop_length - 1, 3 * spec.n_fft + 7):
        assert len(mfcc(np.zeros(n, np.float32), spec)) == frame_count(n, spec)
    for frames in (1, 2, 10):
        need = samples_needed(frames, spec)
        assert frame_count(need, spec) == frames
        assert frame_count(need - 1, spec) == frames - 1


def test_tables_are_librosas() -> None:
    librosa = pytest.importorskip("librosa")
    scipy_fft = pytest.importorskip("scipy.fft")
    for spec in SPECS.values():
        want = librosa.filters.mel(
            sr=spec.sample_rate,
            n_fft=spec.n_fft,
            n_mels=spec.n_mels,
            fmin=spec.f_min,
            fmax=spec.high,
            htk=spec.mel_scale == "htk",
            norm=spec.mel_norm,
            dtype=np.float64,
        )
        np.testing.assert_allclose(mel_bank(spec), want, atol=1e-12)
    for norm in ("ortho", None):
        want = scipy_fft.dct(np.eye(40), type=2, norm=norm, axis=0)
        np.testing.assert_allclose(dct_matrix(40, 40, norm), want, atol=1e-12)


def test_bands_narrower_than_a_bin_are_floor() -> None:
    spec = MfccSpec(n_fft=64, win_length=64, hop_length=32, n_mels=60, n_mfcc=None)
    bank = mel_bank(spec)
    empty = ~bank.any(axis=1)
    assert empty.any()  # the case is real
    frames = mfcc(make("noise", 16000), spec)
    np.testing.assert_allclose(frames[:, empty], -100.0, atol=1e-4)
    assert (frames[:, ~empty] > -100).any()


def test_nothing_depends_on_what_comes_later() -> None:
    samples = make("speech", 16000)
    for cut in (512, 5000, 16001):
        prefix = mfcc(samples[:cut])
        np.testing.assert_array_equal(prefix, mfcc(samples)[: len(prefix)])


@pytest.mark.parametrize(
    "wrong",
    [
        {"sample_rate": 0},
        {"n_fft": 1},
        {"win_length": 513},
        {"hop_length": 0},
        {"hop_length": 600},
        {"n_mfcc": 41},
        {"f_min": 9000.0},
        {"f_max": 9000.0},
        {"log_floor": 0.0},
        {"pre_emphasis": 1.0},
        {"deltas": 3},
        {"delta_width": 4},
    ],
    ids=str,
)
def test_a_spec_out_of_range_names_the_field(wrong: dict[str, float]) -> None:
    with pytest.raises(SpecError, match=next(iter(wrong))):
        MfccSpec(**wrong)


def test_digest_changes_with_every_field() -> None:
    base = MfccSpec()
    others = [MfccSpec(hop_length=161), MfccSpec(n_mfcc=None), MfccSpec(mel_norm=None)]
    assert len({base.digest, *(s.digest for s in others)}) == 4
    assert base.digest == MfccSpec().digest


def test_more_than_one_channel_is_refused() -> None:
    with pytest.raises(ValueError, match="one channel"):
        mfcc(np.zeros((100, 2), np.float32))
