"""Making few recordings sound like many: changes to waveforms, and cheaper changes to features.

Waveform changes (room, noise, pitch, tempo, shift, bandwidth) are computed once for each of ``copies``
variants of a recording and cached. Feature changes (gain, filter, masks) are drawn anew whenever a recording
is used: a gain or a filter of the sound only adds a constant to log-mel energies and their cepstra. So are mel
changes (``export.augmentation.mel``: warp, hiss, another recording beneath), for which log-mel energies are cached.
Long streams of features go through a channel each (``export.augmentation.channel``: level, colour, bandwidth).
Everything is drawn from the seed, the variant and the number of the recording.
"""

from __future__ import annotations

from export.augmentation.channel import ChannelAugmentation, ChannelParameters
from export.augmentation.features import FeatureAugmentation
from export.augmentation.mel import MelAugmentation
from export.augmentation.settings import AugmentConfig
from export.augmentation.waveform import WaveformAugmentation

__all__ = [
    "AugmentConfig",
    "ChannelAugmentation",
    "ChannelParameters",
    "FeatureAugmentation",
    "MelAugmentation",
    "WaveformAugmentation",
]
