"""Every error a user can meet, as one tree.

The message of each is one line: the value that was wrong, the rule it broke, and the way out.
Exit codes belong to the command line (``stream.cli``), not here.

    StreamClassifyError
    ├── UsageError            a combination of options that makes no sense
    ├── SpecError             a MfccSpec, DetectorSpec or other setting out of range (also a ValueError)
    ├── ClosedError           push after flush
    ├── SnapshotInvalid       a saved state that does not fit (also a ValueError)
    ├── SourceError           sound cannot be had
    │   ├── UnreadableAudio   a file that is empty, truncated or not audio
    │   └── DeviceError       microphones
    │       ├── DeviceNotFound
    │       ├── DeviceAmbiguous
    │       ├── DeviceBusy
    │       ├── UnsupportedRate
    │       └── BackendMissing        PortAudio, PyAV … is not installed
    ├── ModelError            a model file cannot be used
    │   ├── NotOnnx
    │   ├── CardMissing
    │   ├── CardInvalid       the card cannot be decoded, or contradicts its graph
    │   ├── UnknownSchema     written by a newer version
    │   └── ProofFailed       golden vectors do not come out
    ├── ProviderUnavailable   CUDA was asked for and cannot be had
    ├── OutputError           a sink cannot be written
    └── ExportError           the training and export side
        ├── DataError         a data set, manifest or recording
        ├── CheckpointError   a .pt file that is not ours or not safe
        ├── NotStreamable     a layer looks ahead, or cannot be carried as state
        └── ParityError       the streaming graph does not equal the original
"""

from __future__ import annotations


class StreamClassifyError(Exception):
    """Base of all errors raised on purpose by this project."""


class UsageError(StreamClassifyError):
    pass


class SpecError(StreamClassifyError, ValueError):
    pass


class ClosedError(StreamClassifyError):
    pass


class SnapshotInvalid(StreamClassifyError, ValueError):
    """A saved state cannot be restored here: damaged, of another stage, or of other settings."""


class SourceError(StreamClassifyError):
    pass


class UnreadableAudio(SourceError):
    pass


class DeviceError(SourceError):
    pass


class DeviceNotFound(DeviceError):
    pass


class DeviceAmbiguous(DeviceError):
    pass


class DeviceBusy(DeviceError):
    pass


class UnsupportedRate(DeviceError):
    pass


class BackendMissing(DeviceError):
    pass


class ModelError(StreamClassifyError):
    pass


class NotOnnx(ModelError):
    pass


class CardMissing(ModelError):
    pass


class CardInvalid(ModelError):
    pass


class UnknownSchema(ModelError):
    pass


class ProofFailed(ModelError):
    pass


class ProviderUnavailable(StreamClassifyError):
    pass


class OutputError(StreamClassifyError):
    pass


class ExportError(StreamClassifyError):
    pass


class DataError(ExportError):
    pass


class CheckpointError(ExportError):
    pass


class NotStreamable(ExportError):
    pass


class ParityError(ExportError):
    pass
