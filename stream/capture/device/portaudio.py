"""PortAudio: loaded when needed, one call at a time, its errors in our words. The only import of sounddevice.

PortAudio's open, close and initialise calls must not run at the same time, and they can block forever when
the sound server hangs. So a lock is held round each, and whoever finds it taken gets an error after a while.

PortAudio and ALSA print to standard error by themselves. A program that minds can have something done round each such
call: see `wrap_calls`.
"""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

from stream.errors import BackendMissing, DeviceBusy, DeviceError, UnsupportedRate

Latency = float | Literal["low", "high"]

_LOCK_SECONDS = 5.0  # to wait for another thread's call into PortAudio
_guard = threading.RLock()
_open_streams = 0

_around: Callable[[], AbstractContextManager[None]] = nullcontext
_on_abandon: Callable[[], object] = nullcontext


def wrap_calls(around: Callable[[], AbstractContextManager[None]], on_abandon: Callable[[], object]) -> None:
    """Have every call that may print made within ``around()``.

    Args:
        around: a new context for each call, one at a time.
        on_abandon: called when a call hangs and is left behind, so that its context will never be left.
    """
    global _around, _on_abandon
    _around, _on_abandon = around, on_abandon


@contextmanager
def portaudio() -> Iterator[Any]:
    """The ``sounddevice`` module, while no other thread is in one of PortAudio's unsafe calls.

    Raises:
        BackendMissing: sounddevice or the PortAudio library is not installed.
        DeviceError: another thread's call hangs.
    """
    if not _guard.acquire(timeout=_LOCK_SECONDS):
        raise DeviceError(
            f"PortAudio did not answer for {_LOCK_SECONDS:g} s: the sound server hangs; restart it, then this program"
        )
    try:
        yield _load()
    finally:
        _guard.release()


def _load() -> Any:
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        raise BackendMissing(
            f"no module {error.name!r}: microphones need it; run `python -m pip install sounddevice`",
            backend="sounddevice",
        ) from error
    except OSError as error:
        way = "`sudo apt-get install libportaudio2` (Debian, Ubuntu) or your system's package of PortAudio"
        if sys.platform in ("darwin", "win32"):
            way = "`python -m pip install --force-reinstall sounddevice`, which brings it"
        raise BackendMissing(
            f"the PortAudio library is missing ({error}): microphones need it; {way}", backend="PortAudio"
        ) from error
    except Exception as error:
        # Its PortAudioError, whose class cannot be had when the import fails.
        raise _no_start(error) from error
    return sounddevice


def _no_start(error: Exception) -> DeviceError:
    return DeviceError(f"PortAudio does not start ({error}): look at the sound system's configuration")


def reinitialise() -> bool:
    """Make PortAudio look for devices again; otherwise its list never changes. False if a stream is open.

    Raises:
        BackendMissing, DeviceError: see `portaudio`.
    """
    with portaudio() as sd:
        if _open_streams:
            return False
        # Private functions, but there is no other way. An earlier attempt may have failed half-way.
        with _around():
            if sd._initialized:
                sd._terminate()
            try:
                sd._initialize()
            except sd.PortAudioError as error:
                raise _no_start(error) from error
    return True


def open_stream(
    device: int,
    name: str,
    *,
    sample_rate: int,
    channels: int,
    block_samples: int,
    latency: Latency,
    on_block: Callable[[Any, int, Any, Any], None],
    on_end: Callable[[], None],
) -> Any:
    """Open and start an input stream of float32; give it to `close_stream` in the end.

    Args:
        device: PortAudio's index.
        name: for error messages.
        sample_rate: Hz.
        block_samples: frames a block, 0 = as the device likes.
        latency: seconds, or what the device calls "low" or "high".
        on_block: called in PortAudio's thread with (frames, channels) float32 that are gone afterwards, the
            number of frames, time stamps and `sounddevice.CallbackFlags`.
        on_end: called in PortAudio's thread when the stream has ended, for whatever reason.

    Raises:
        DeviceBusy, UnsupportedRate, DeviceError: it cannot be opened.
        BackendMissing: see `portaudio`.
    """
    global _open_streams
    with portaudio() as sd, _around():
        try:
            stream = sd.InputStream(
                device=device,
                samplerate=sample_rate,
                channels=channels,
                blocksize=block_samples,
                latency=latency,
                dtype="float32",
                callback=on_block,
                finished_callback=on_end,
            )
        except sd.PortAudioError as error:
            raise explain(error, name, sample_rate) from error
        try:
            stream.start()
        except sd.PortAudioError as error:
            stream.close(ignore_errors=True)
            raise explain(error, name, sample_rate) from error
        _open_streams += 1
        return stream


def close_stream(stream: Any) -> None:
    """Close a stream of `open_stream`, dead or alive. May block for as long as the sound server hangs."""
    global _open_streams
    with portaudio(), _around():
        # "abort" and not "stop": nobody waits for the rest of the block.
        stream.abort(ignore_errors=True)
        stream.close(ignore_errors=True)
        _open_streams -= 1


def abandon() -> None:
    """Give up a call that hangs: leave PortAudio as it is when the interpreter exits, where it would hang again."""
    _on_abandon()
    sd = sys.modules.get("sounddevice")
    if sd is not None:
        atexit.unregister(sd._exit_handler)


def explain(error: Exception, name: str, sample_rate: int | None = None) -> DeviceError:
    """A `sounddevice.PortAudioError` about the device called ``name`` as one of our errors."""
    text = " ".join(str(error.args[0] if error.args else error).split())
    code = error.args[1] if len(error.args) > 1 else 0
    if code == -9985:  # paDeviceUnavailable
        return DeviceBusy(
            f"microphone '{name}' is in use or has gone: close the program that uses it, or choose another device",
            device=name,
        )
    if code == -9997:  # paInvalidSampleRate
        return UnsupportedRate(
            f"microphone '{name}' does not record at {sample_rate} Hz: choose another rate",
            sample_rate=sample_rate,
        )
    return DeviceError(f"microphone '{name}' cannot be opened: {text}")
