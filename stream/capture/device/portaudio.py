"""PortAudio: loaded when needed, one call at a time, its errors in our words. The only import of sounddevice.

PortAudio's open, close and initialise calls must not run at the same time, and they can block for ever when
the sound server hangs. So a lock is held round each, and who finds it taken gets an error after a while.
"""

from __future__ import annotations

import atexit
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

from stream.errors import BackendMissing, DeviceBusy, DeviceError, UnsupportedRate

Latency = float | Literal["low", "high"]

_PATIENCE = 5.0  # seconds to wait for another thread's call into PortAudio
_guard = threading.RLock()
_open_streams = 0

# What PortAudio and ALSA print by themselves, several lines for each try to open a device that is not there.
_CHATTER = re.compile(rb"Expression '|ALSA lib |\s*$")
_stderr: int | None = None  # the real standard error, while that is set aside


@contextmanager
def portaudio() -> Iterator[Any]:
    """The ``sounddevice`` module, while no other thread is in one of PortAudio's unsafe calls.

    Raises:
        BackendMissing: sounddevice or the PortAudio library is not installed.
        DeviceError: another thread's call hangs.
    """
    if not _guard.acquire(timeout=_PATIENCE):
        raise DeviceError(
            f"PortAudio did not answer for {_PATIENCE:g} s: the sound server hangs; restart it, then this program"
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
            f"no module {error.name!r}: microphones need it; run `python -m pip install sounddevice`"
        ) from error
    except OSError as error:
        way = "`sudo apt-get install libportaudio2` (Debian, Ubuntu) or your system's package of PortAudio"
        if sys.platform in ("darwin", "win32"):
            way = "`python -m pip install --force-reinstall sounddevice`, which brings it"
        raise BackendMissing(
            f"the PortAudio library is missing ({error}): microphones need it; {way}"
        ) from error
    except Exception as error:
        # Its PortAudioError, whose class cannot be had when the import fails.
        raise _no_start(error) from error
    return sounddevice


def _no_start(error: Exception) -> DeviceError:
    return DeviceError(f"PortAudio does not start ({error}): look at the sound system's configuration")


def reinitialise() -> bool:
    """Make PortAudio look for devices anew; its list is frozen otherwise. False if a stream is open.

    Raises:
        BackendMissing, DeviceError: see `portaudio`.
    """
    with portaudio() as sd:
        if _open_streams:
            return False
        # Private functions, but there is no other way. An earlier attempt may have failed half-way.
        with _hushed():
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
    rate: int,
    channels: int,
    blocksize: int,
    latency: Latency,
    on_block: Callable[[Any, int, Any, Any], None],
    on_end: Callable[[], None],
) -> Any:
    """Open and start an input stream of float32; give it to `close_stream` in the end.

    Args:
        device: PortAudio's index.
        name: for error messages.
        rate: Hz.
        blocksize: frames a block, 0 = as the device likes.
        latency: seconds, or what the device calls "low" or "high".
        on_block: called in PortAudio's thread with (frames, channels) float32 that are gone afterwards, the
            number of frames, time stamps and `sounddevice.CallbackFlags`.
        on_end: called in PortAudio's thread when the stream has ended, for whatever reason.

    Raises:
        DeviceBusy, UnsupportedRate, DeviceError: it cannot be opened.
        BackendMissing: see `portaudio`.
    """
    global _open_streams
    with portaudio() as sd, _hushed():
        try:
            stream = sd.InputStream(
                device=device,
                samplerate=rate,
                channels=channels,
                blocksize=blocksize,
                latency=latency,
                dtype="float32",
                callback=on_block,
                finished_callback=on_end,
            )
        except sd.PortAudioError as error:
            raise explain(error, name, rate) from error
        try:
            stream.start()
        except sd.PortAudioError as error:
            stream.close(ignore_errors=True)
            raise explain(error, name, rate) from error
        _open_streams += 1
        return stream


def close_stream(stream: Any) -> None:
    """Close a stream of `open_stream`, dead or alive. May block for as long as the sound server hangs."""
    global _open_streams
    with portaudio(), _hushed():
        # "abort" and not "stop": nobody waits for the rest of the block.
        stream.abort(ignore_errors=True)
        stream.close(ignore_errors=True)
        _open_streams -= 1


def abandon() -> None:
    """Give up a call that hangs: leave PortAudio as it is when the interpreter exits, where it would hang
    again, and give standard error back."""
    _unhush()
    sd = sys.modules.get("sounddevice")
    if sd is not None:
        atexit.unregister(sd._exit_handler)


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep the chatter of C libraries off standard error; what else is written there comes a moment later."""
    global _stderr
    with ExitStack() as stack:
        try:
            caught = stack.enter_context(tempfile.TemporaryFile())
            _stderr = os.dup(2)
        except OSError:
            # No room for a file, or no standard error: then without.
            yield
            return
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            _unhush()
            caught.seek(0)
            for line in caught:
                if not _CHATTER.match(line):
                    os.write(2, line)


def _unhush() -> None:
    global _stderr
    saved, _stderr = _stderr, None
    if saved is not None:
        os.dup2(saved, 2)
        os.close(saved)


def explain(error: Exception, name: str, rate: int | None = None) -> DeviceError:
    """A `sounddevice.PortAudioError` about the device called ``name`` as one of our errors."""
    text = " ".join(str(error.args[0] if error.args else error).split())
    code = error.args[1] if len(error.args) > 1 else 0
    if code == -9985:  # paDeviceUnavailable
        return DeviceBusy(
            f"microphone '{name}' is in use or has gone: close the program that uses it, or choose another device"
        )
    if code == -9997:  # paInvalidSampleRate
        return UnsupportedRate(f"microphone '{name}' does not record at {rate} Hz: choose another rate")
    return DeviceError(f"microphone '{name}' cannot be opened: {text}")
