"""Channel augmentation: level, colour and bandwidth change, labels and silence do not."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

pytest.importorskip("torch")

from export.augmentation import ChannelAugmentation
from stream.errors import SpecError
from stream.features.mfcc import mfcc
from stream.features.spec import MfccSpec

SPEC = MfccSpec(n_fft=512, win_length=512, hop_length=320, n_mels=24, n_mfcc=None)


@pytest.mark.parametrize("n_mfcc", [None, 24])
def test_level_and_band_change_and_silence_stays(n_mfcc: int | None) -> None:
    spec = msgspec.structs.replace(SPEC, n_mfcc=n_mfcc)
    sound = np.random.default_rng(0).standard_normal(8000).astype(np.float32) * 0.1
    features = mfcc(np.concatenate([sound, np.zeros(8000, np.float32)]), spec)[None]
    rng = np.random.default_rng(1)

    def bands(frames: np.ndarray) -> np.ndarray:
        return frames if n_mfcc is None else frames @ ChannelAugmentation(spec, 0.0, 0.0).to_mel.T

    none = ChannelAugmentation(spec, gain_db=0.0, narrow=0.0)
    np.testing.assert_allclose(none.apply(none.draw(1, rng), features, rng), features, atol=1e-3)
    narrow = ChannelAugmentation(spec, gain_db=0.0, narrow=1.0)
    out = narrow.apply(narrow.draw(1, rng), features, rng)
    assert (bands(out)[0, :20, -1] < bands(features)[0, :20, -1] - 10).all()  # nothing left at the top
    np.testing.assert_allclose(
        bands(out)[0, :20, 8], bands(features)[0, :20, 8], atol=1e-3
    )  # 1 kHz is as it was
    np.testing.assert_allclose(out[0, -10:], features[0, -10:], atol=1e-3)
    louder = ChannelAugmentation(spec, gain_db=6.0, narrow=0.0)
    moved = bands(louder.apply(louder.draw(1, rng), features, rng) - features)[0, :20]
    assert np.abs(moved).max() > 1
    np.testing.assert_allclose(
        moved, np.broadcast_to(moved[:1], moved.shape), atol=1e-2
    )  # one channel a stream


def test_features_that_cannot_be_turned_back_are_refused() -> None:
    for changes in ({"n_mfcc": 13}, {"deltas": 1}):
        with pytest.raises(SpecError, match="channel augmentation needs"):
            ChannelAugmentation(msgspec.structs.replace(SPEC, **changes), 1.0, 0.0)
