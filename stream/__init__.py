"""stream-classify: what it hears live is exactly what was trained and tested.

Sound flows through rooms, each usable alone:

    capture     Microphone, FileSource, ArraySource, open_source          -> Chunk
                list_devices; read_audio (a whole file); SoundHistory (the last seconds of a source)
    features    MfccSpec, StreamingMfcc, mfcc                          -> frames (T, F)
    inference   ModelCard, Model.load / bundled / initial_state / step    -> Scores
    decisions   DetectorSpec, ClassRule, Detector                         -> Event
    outputs     JsonLines
    together    StreamClassifier, classify, run                           -> Result

Three verbs mean the same everywhere: push (give input, get what is ready), flush (no more input),
reset (as new).

    from stream import Microphone, Model, StreamClassifier
    classifier = StreamClassifier(Model.bundled())
    for result in classifier.stream(Microphone(device=2)):
        print(result.top)

Names are imported when first used, so that ``stream-classify --help`` need not wait for NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from stream._version import __version__

if TYPE_CHECKING:
    from stream.capture.device.lookup import DeviceInfo, list_devices
    from stream.capture.device.microphone import Microphone
    from stream.capture.files import FileSource, read_audio
    from stream.capture.history import SoundHistory
    from stream.capture.opening import open_source
    from stream.capture.resample import resampled
    from stream.capture.source import ArraySource, AudioSource, SourceReport
    from stream.classifier import StreamClassifier, classify
    from stream.decisions.detector import Detector
    from stream.decisions.spec import ClassRule, DetectorSpec
    from stream.errors import (
        BackendMissing,
        CardInvalid,
        CardMissing,
        ClosedError,
        DeviceAmbiguous,
        DeviceBusy,
        DeviceError,
        DeviceNotFound,
        ModelError,
        NotOnnx,
        OutputError,
        ProofFailed,
        ProviderUnavailable,
        SnapshotInvalid,
        SourceError,
        SpecError,
        StreamClassifyError,
        UnknownSchema,
        UnreadableAudio,
        UnsupportedRate,
        UsageError,
    )
    from stream.features.mfcc import StreamingMfcc, mfcc
    from stream.features.spec import MfccSpec
    from stream.inference.card import ModelCard, StateSpec
    from stream.inference.session import Model
    from stream.messages import Chunk, Event, Gap, Result, Scores, SourceInfo, Status
    from stream.outputs.jsonl import JsonLines
    from stream.runner import run

_HOMES = {
    "stream.capture.files": ["FileSource", "read_audio"],
    "stream.capture.history": ["SoundHistory"],
    "stream.capture.device.lookup": ["DeviceInfo", "list_devices"],
    "stream.capture.device.microphone": ["Microphone"],
    "stream.capture.resample": ["resampled"],
    "stream.capture.opening": ["open_source"],
    "stream.capture.source": ["ArraySource", "AudioSource", "SourceReport"],
    "stream.classifier": ["StreamClassifier", "classify"],
    "stream.decisions.detector": ["Detector"],
    "stream.decisions.spec": ["ClassRule", "DetectorSpec"],
    "stream.errors": [
        "BackendMissing",
        "CardInvalid",
        "CardMissing",
        "ClosedError",
        "DeviceAmbiguous",
        "DeviceBusy",
        "DeviceError",
        "DeviceNotFound",
        "ModelError",
        "NotOnnx",
        "OutputError",
        "ProofFailed",
        "ProviderUnavailable",
        "SnapshotInvalid",
        "SourceError",
        "SpecError",
        "StreamClassifyError",
        "UnknownSchema",
        "UnreadableAudio",
        "UnsupportedRate",
        "UsageError",
    ],
    "stream.features.mfcc": ["StreamingMfcc", "mfcc"],
    "stream.features.spec": ["MfccSpec"],
    "stream.inference.card": ["ModelCard", "StateSpec"],
    "stream.inference.session": ["Model"],
    "stream.messages": ["Chunk", "Event", "Gap", "Result", "Scores", "SourceInfo", "Status"],
    "stream.outputs.jsonl": ["JsonLines"],
    "stream.runner": ["run"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ArraySource",
    "AudioSource",
    "BackendMissing",
    "CardInvalid",
    "CardMissing",
    "Chunk",
    "ClassRule",
    "ClosedError",
    "Detector",
    "DetectorSpec",
    "DeviceAmbiguous",
    "DeviceBusy",
    "DeviceError",
    "DeviceInfo",
    "DeviceNotFound",
    "Event",
    "FileSource",
    "Gap",
    "JsonLines",
    "MfccSpec",
    "Microphone",
    "Model",
    "ModelCard",
    "ModelError",
    "NotOnnx",
    "OutputError",
    "ProofFailed",
    "ProviderUnavailable",
    "Result",
    "Scores",
    "SnapshotInvalid",
    "SoundHistory",
    "SourceError",
    "SourceInfo",
    "SourceReport",
    "SpecError",
    "StateSpec",
    "Status",
    "StreamClassifier",
    "StreamClassifyError",
    "StreamingMfcc",
    "UnknownSchema",
    "UnreadableAudio",
    "UnsupportedRate",
    "UsageError",
    "__version__",
    "classify",
    "list_devices",
    "mfcc",
    "open_source",
    "read_audio",
    "resampled",
    "run",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'stream' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
