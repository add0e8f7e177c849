"""Augmentation: random changes to recordings, so that a network learns more from few of them.

settings.py   AugmentConfig: what is varied, and how far
waveform.py   room, noise, pitch, tempo, shift, bandwidth: computed once per variant of a recording, and cached
features.py   gain, filter, masks: drawn anew at each use; a gain or a filter only adds a constant to log-mel
              energies and their cepstra
mel.py        warped frequencies, other speeds, noise, another recording mixed in: drawn anew at each use, on
              cached log-mel energies
channel.py    level, colour and bandwidth of long streams of features

Everything is drawn from the seed, the variant and the index of the recording.
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
