"""Labelled audio: recordings with labels and splits, and their features on disk.

recording.py      Recording, Dataset: names and labels, nothing opened
class_folders.py  one folder per class (Speech Commands)
manifest.py       CSV and TSV manifests (ESC-50, UrbanSound8K, DCASE)
groups.py         speakers and sources, from columns or file names
folds.py          folds for cross-validation
dataset.py        read_dataset(): any of these layouts
splits.py         training, validation and test parts that never divide a group
cache.py          features, computed once with the runtime's own code
survey/           figures and warnings before anything is trained
"""

from __future__ import annotations

from export.data.cache import FeatureStore, build_store, load_audio
from export.data.dataset import UNKNOWN, read_dataset
from export.data.recording import Dataset, Interval, Recording
from export.data.splits import SplitConfig, split_dataset

__all__ = [
    "UNKNOWN",
    "Dataset",
    "FeatureStore",
    "Interval",
    "Recording",
    "SplitConfig",
    "build_store",
    "load_audio",
    "read_dataset",
    "split_dataset",
]
