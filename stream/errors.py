"""Every error a user can meet, as one tree.

The message of each is one line: the value that was wrong, the rule it broke, and the way out. What a program may
want to know stands in attributes.
Exit codes belong to the command line (``stream.cli``), not here.

    StreamClassifyError
    ├── UsageError            a combination of options that makes no sense
    ├── SpecError             a MfccSpec, DetectorSpec or other setting out of range (also a ValueError)
    ├── ClosedError           push after flush, a source after close
    ├── PoolFull              every place for a stream is taken
    ├── SnapshotInvalid       a state that cannot be saved, or fits nothing here
    ├── SourceError           sound cannot be had
    │   ├── UnreadableAudio   a file that is empty, truncated or not audio
    │   ├── SessionInvalid    a recorded session that is damaged, or of a newer version
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
    │   ├── HistoryInvalid    a file that is no history, is damaged, or was written by a newer version
    │   └── TryAgain          not now, but perhaps later
    └── ExportError           the training and export side
        ├── DataError         a data set, manifest or recording
        ├── CheckpointError   a .pt file that is not ours or not safe
        ├── NotStreamable     a layer looks ahead, or cannot be carried as state
        └── ParityError       the streaming graph does not equal the original
"""

from __future__ import annotations

from typing import Any


class StreamClassifyError(Exception):
    """Base of all errors raised on purpose by this project: catch it to catch them all.

    ``str(error)`` is one line for people; what a program may want to know stands in attributes.
    """


class UsageError(StreamClassifyError):
    """Arguments or options that make no sense together, or a call at the wrong moment. Change the call."""


class SpecError(StreamClassifyError, ValueError):
    """A setting is out of range, or text that describes one cannot be read. The message says what is allowed."""


class ClosedError(StreamClassifyError):
    """Something was used after its end: a push after ``flush``, or a source after ``close``.

    Call ``reset`` to start a new stream, or open the source again.
    """


class PoolFull(StreamClassifyError):
    """Every place for a stream is taken. Try again when another stream has ended, or allow more of them."""


class SnapshotInvalid(StreamClassifyError):
    """A state cannot be saved here, or does not fit what it should be restored into.

    Restore it into an object made with the same model and settings, by the same version.
    """


class SourceError(StreamClassifyError):
    """Sound cannot be had: a file, a stream, a pipe or a microphone. The subclasses say which."""


class UnreadableAudio(SourceError):
    """A recording is missing, empty, damaged, or not audio that can be decoded. Give another file.

    Attributes:
        path: the file or stream, as it was named; "" for what has no name.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class SessionInvalid(SourceError):
    """A recorded session is missing, damaged, or was written by a newer version. The message names the file."""


class DeviceError(SourceError):
    """A microphone cannot be opened or asked. Look at the sound system, or choose another device."""


class DeviceNotFound(DeviceError):
    """No input device fits what was asked for. Plug it in, or choose one of ``available``.

    Attributes:
        available: the input devices there are, as `DeviceInfo`.
    """

    def __init__(self, message: str, *, available: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.available = available


class DeviceAmbiguous(DeviceError):
    """Several input devices fit what was asked for. Give a number, or more of the name.

    Attributes:
        candidates: those that fit, as `DeviceInfo`.
    """

    def __init__(self, message: str, *, candidates: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.candidates = candidates


class DeviceBusy(DeviceError):
    """The device is in use by another program, or has just gone. Close that program, or choose another device.

    Attributes:
        device: its name.
    """

    def __init__(self, message: str, *, device: str = "") -> None:
        super().__init__(message)
        self.device = device


class UnsupportedRate(DeviceError):
    """The device does not record at this rate. Ask for one of ``supported``, or for none: sound is resampled anyway.

    Attributes:
        sample_rate: the rate that was asked for, Hz; None for the device's own.
        supported: rates that work, Hz, of those that are usual.
    """

    def __init__(
        self, message: str, *, sample_rate: int | None = None, supported: tuple[int, ...] = ()
    ) -> None:
        super().__init__(message)
        self.sample_rate = sample_rate
        self.supported = supported


class BackendMissing(DeviceError):
    """A library that is needed here is not installed. The message says how to install it.

    Attributes:
        backend: its name, such as "sounddevice", "PortAudio" or "PyAV".
    """

    def __init__(self, message: str, *, backend: str = "") -> None:
        super().__init__(message)
        self.backend = backend


class ModelError(StreamClassifyError):
    """A model file cannot be used. Use another one, or export it again."""


class NotOnnx(ModelError):
    """The file is missing, or is not an ONNX graph that ONNX Runtime can load."""


class CardMissing(ModelError):
    """The ONNX file has no model card: it was not written by ``stream-classify export``. Export it with that."""


class CardInvalid(ModelError):
    """The model card cannot be decoded, or contradicts the graph it belongs to. Export the model again."""


class UnknownSchema(ModelError):
    """The model card was written by a newer version of this program. Upgrade."""


class ProofFailed(ModelError):
    """The model does not give here what it gave when it was exported. Do not trust it on this machine."""


class ProviderUnavailable(StreamClassifyError):
    """A compute device was asked for by name and cannot be had. Install what the message names, or use "auto"."""


class OutputError(StreamClassifyError):
    """Results cannot be written or sent. Make room, or change where they go."""


class HistoryInvalid(OutputError):
    """The file is no history, is damaged, or was written by a newer version. Give another file, or upgrade."""


class TryAgain(OutputError):
    """An output cannot deliver just now, as its peer is gone. `Queued` gives it the same message again later."""


class ExportError(StreamClassifyError):
    """Training, evaluation or export cannot go on. The subclasses say why."""


class DataError(ExportError):
    """A data set, a manifest or a recording in it is not as it must be. The message names the file and the line."""


class CheckpointError(ExportError):
    """A checkpoint is damaged, was not written by this program, or is not safe to load. Train again."""


class NotStreamable(ExportError):
    """A layer of the network looks ahead, or cannot be carried as state. The message names it and what to use."""


class ParityError(ExportError):
    """The streaming graph does not equal the original network. Nothing was written."""
