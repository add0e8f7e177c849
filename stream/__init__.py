"""stream-classify: what it hears live is exactly what was trained and tested.

Sound flows through stages, each usable alone:

    capture     Microphone, FileSource, ArraySource, open_source          -> Chunk
                list_devices; read_audio (a whole file); SoundHistory (the last seconds of a source)
    features    Conditioner (resampling, repair, gaps), FrontEnd          -> frames (T, F)
    inference   Model, Engine: LoneEngine, SlabRow, DeviceEngine; Slab    -> Scores
    decisions   DetectorSpec, ClassRule, Detector, DerivedSpec            -> Event
    outputs     Sink, JsonLines, Callbacks, Queued; attach_outputs, ActingRules
    privacy     Redactor, SpeechRule; WithoutSpeech, WithoutSound (sinks that stand before others)
    together    StreamClassifier, classify, run, arun                     -> Result

Five verbs mean the same everywhere: push (give input, get what is ready), flush (no more input), reset (as new),
snapshot (the state as plain values) and restore (continue from it, to the bit).

    from stream import Microphone, Model, StreamClassifier
    classifier = StreamClassifier(Model.bundled())
    for result in classifier.stream(Microphone(device=2)):
        print(result.top)

Names are imported when first used, so that ``stream-classify --help`` need not wait for NumPy.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from stream._version import __version__

# Otherwise ONNX Runtime writes a device id and a database of events below the home folder and tries to send them to its
# maker. It reads the variable when it is imported, which happens nowhere before this line. Nothing else in the process
# is changed by importing the library. Set the variable to 0 beforehand to have it otherwise.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from stream.attaching import attach_outputs
    from stream.capture.device.lookup import DeviceInfo, list_devices
    from stream.capture.device.microphone import Microphone
    from stream.capture.files import FileSource, read_audio
    from stream.capture.history import SoundHistory
    from stream.capture.opening import open_source
    from stream.capture.source import ArraySource, AudioSource, SourceReport
    from stream.classifier.stream_classifier import StreamClassifier
    from stream.decisions.derived import DerivedSpec
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
    from stream.features.conditioner import Conditioner
    from stream.features.frontend import FrontEnd, make_front_end
    from stream.features.mfcc import StreamingMfcc, mfcc
    from stream.features.repair import Repair
    from stream.features.spec import MfccSpec, WaveformSpec
    from stream.inference.card import ModelCard, StateSpec
    from stream.inference.engine import DeviceEngine, Engine, LoneEngine, SlabEngine
    from stream.inference.session import Model
    from stream.inference.slab import Slab
    from stream.inference.state_table import SlabRow
    from stream.inference.verify import verify
    from stream.messages import Chunk, Event, Gap, Result, Scores, SourceInfo, Status
    from stream.outputs.acting_rule import ActingRules
    from stream.outputs.callbacks import Callbacks
    from stream.outputs.jsonl import JsonLines
    from stream.outputs.queued import Queued
    from stream.outputs.records import Origin
    from stream.outputs.sink import Sink
    from stream.privacy.redactor import Redactor
    from stream.privacy.speech_rule import SpeechRule
    from stream.privacy.without_sound import WithoutSound
    from stream.privacy.without_speech import WithoutSpeech
    from stream.recording import classify
    from stream.runner import Summary, arun, run
    from stream.snapshot import pack, unpack

_HOMES = {
    "stream.capture.files": ["FileSource", "read_audio"],
    "stream.capture.history": ["SoundHistory"],
    "stream.capture.device.lookup": ["DeviceInfo", "list_devices"],
    "stream.capture.device.microphone": ["Microphone"],
    "stream.capture.opening": ["open_source"],
    "stream.capture.source": ["ArraySource", "AudioSource", "SourceReport"],
    "stream.classifier.stream_classifier": ["StreamClassifier"],
    "stream.recording": ["classify"],
    "stream.decisions.detector": ["Detector"],
    "stream.decisions.derived": ["DerivedSpec"],
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
    "stream.features.conditioner": ["Conditioner"],
    "stream.features.frontend": ["FrontEnd", "make_front_end"],
    "stream.features.repair": ["Repair"],
    "stream.features.spec": ["MfccSpec", "WaveformSpec"],
    "stream.inference.card": ["ModelCard", "StateSpec"],
    "stream.inference.engine": ["DeviceEngine", "Engine", "LoneEngine", "SlabEngine"],
    "stream.inference.state_table": ["SlabRow"],
    "stream.inference.session": ["Model"],
    "stream.inference.slab": ["Slab"],
    "stream.inference.verify": ["verify"],
    "stream.snapshot": ["pack", "unpack"],
    "stream.messages": ["Chunk", "Event", "Gap", "Result", "Scores", "SourceInfo", "Status"],
    "stream.attaching": ["attach_outputs"],
    "stream.outputs.acting_rule": ["ActingRules"],
    "stream.outputs.callbacks": ["Callbacks"],
    "stream.outputs.jsonl": ["JsonLines"],
    "stream.outputs.queued": ["Queued"],
    "stream.outputs.records": ["Origin"],
    "stream.outputs.sink": ["Sink"],
    "stream.privacy.redactor": ["Redactor"],
    "stream.privacy.speech_rule": ["SpeechRule"],
    "stream.privacy.without_sound": ["WithoutSound"],
    "stream.privacy.without_speech": ["WithoutSpeech"],
    "stream.runner": ["Summary", "arun", "run"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ActingRules",
    "ArraySource",
    "AudioSource",
    "BackendMissing",
    "Callbacks",
    "CardInvalid",
    "CardMissing",
    "Chunk",
    "ClassRule",
    "ClosedError",
    "Conditioner",
    "DerivedSpec",
    "Detector",
    "DetectorSpec",
    "DeviceAmbiguous",
    "DeviceBusy",
    "DeviceEngine",
    "DeviceError",
    "DeviceInfo",
    "DeviceNotFound",
    "Engine",
    "Event",
    "FileSource",
    "FrontEnd",
    "Gap",
    "JsonLines",
    "LoneEngine",
    "MfccSpec",
    "Microphone",
    "Model",
    "ModelCard",
    "ModelError",
    "NotOnnx",
    "Origin",
    "OutputError",
    "ProofFailed",
    "ProviderUnavailable",
    "Queued",
    "Redactor",
    "Repair",
    "Result",
    "Scores",
    "Sink",
    "Slab",
    "SlabEngine",
    "SlabRow",
    "SnapshotInvalid",
    "SoundHistory",
    "SourceError",
    "SourceInfo",
    "SourceReport",
    "SpecError",
    "SpeechRule",
    "StateSpec",
    "Status",
    "StreamClassifier",
    "StreamClassifyError",
    "StreamingMfcc",
    "Summary",
    "UnknownSchema",
    "UnreadableAudio",
    "UnsupportedRate",
    "UsageError",
    "WaveformSpec",
    "WithoutSound",
    "WithoutSpeech",
    "__version__",
    "arun",
    "attach_outputs",
    "classify",
    "list_devices",
    "make_front_end",
    "mfcc",
    "open_source",
    "pack",
    "read_audio",
    "run",
    "unpack",
    "verify",
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
