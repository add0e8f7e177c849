"""Audio files as blocks of float32: libsndfile first, PyAV for what it does not know."""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from stream.capture.channels import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ
from stream.capture.pyav import AvDecoder, Bounded, import_av, reason
from stream.capture.suffixes import RAW_SUFFIXES
from stream.capture.wav import Slice, misstated_sound
from stream.errors import BackendMissing, UnreadableAudio
from stream.foreign import text_kind
from stream.installation import install_command

# Frames decoded at a time. Where a large piece fails, the recording is read again up to there and on in small ones:
# the most that a damaged block can take along.
_BLOCK_FRAMES, _SMALL_BLOCK_FRAMES = 65_536, 4096
# Containers that hold one recording. Playlists are left out: they could name other files.
_AV_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,aac,matroska,webm,asf,ogg,mp3,flac,ac3,eac3,amr,amrnb,amrwb,caf,ape,wv,tta,dsf"
)
_PLAYLIST_SUFFIXES = (".m3u", ".m3u8", ".pls", ".asx", ".xspf", ".wpl")
_ZEROS_BYTES = 8 << 20  # at the beginning of a file, and it is none of sound; decoders would search them all
_INSTEAD = {
    "a web page": "the server answered with a page instead of the file; download the file itself",
    "a Git LFS pointer": "run 'git lfs pull' in its repository to fetch the file",
}
_UNKNOWN_LENGTH = 0x7FFFF000  # writers to a pipe put this or more as the length, as they cannot know it
# WAV, W64, AIFF and AU; of an RF64 libsndfile says nothing.
_DATA_LENGTH = re.compile(r"^ *(?:data|riff|SSND|Data Size) *: (\d+) \(should be (\d+)\)", re.MULTILINE)


class Decoder(Protocol):
    """One opened recording."""

    sample_rate: int
    channels: int
    codec: str

    @property
    def frames(self) -> int | None:
        """Samples per channel that are to be expected, None where nobody knows."""
        ...

    @property
    def problem(self) -> str:
        """After the last block: why there are fewer samples than there should be; "" if all is well."""
        ...

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """(n, channels) float32, n > 0, to the end of what can be decoded. To be called once."""
        ...

    def close(self) -> None: ...


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]  # it has no types
    """A sound file that is only read forwards.

    After every read of a seekable file, ``soundfile`` seeks to where it is already. That empties the memory of a
    decoder such as MP3's, whose frames borrow bits from those before, and the next block comes out wrong.
    """

    def seekable(self) -> bool:
        return False


def _open_sequential(path: Path) -> soundfile.SoundFile:
    """Opened to be read forwards, to the end of the file.

    A WAV that misstates its length is read as samples without a header.

    Without a count of frames in an MP3, libsndfile estimates the length from its first frame and the size of the file,
    and stops there: at a fifth of a recording with variable bit rate. Of a pipe it reads all.
    """
    if sound := misstated_sound(path):
        return _Sequential(
            Slice(path, sound.start, sound.length),
            format="RAW",
            samplerate=sound.sample_rate,
            channels=sound.channels,
            subtype=sound.subtype,
            endian="LITTLE",
        )
    file = _Sequential(os.fsencode(path) if os.name == "posix" else str(path))
    if file.format != "MP3" or os.name != "posix" or _counts_frames(path):
        return file
    file.close()
    read_end, write_end = os.pipe()
    threading.Thread(target=_copy, args=(path, write_end), name="MP3 file reader", daemon=True).start()
    try:
        return _Sequential(read_end, closefd=True)
    except BaseException:
        os.close(read_end)
        raise


def _copy(path: Path, write_end: int) -> None:
    with open(path, "rb") as file, open(write_end, "wb", buffering=0) as pipe:
        try:
            while data := file.read(1 << 16):
                pipe.write(data)
        except OSError:
            pass  # closed before the end


def _counts_frames(path: Path) -> bool:
    """Whether the first frame of an MP3 states how many there are (a Xing, Info or VBRI header)."""
    with open(path, "rb") as file:
        head = file.read(10)
        size = 0
        if head[:3] == b"ID3" and len(head) == 10:
            size = 10 + sum(
                (byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True)
            )
        file.seek(size)
        frame = file.read(4096)
    return any(tag in frame for tag in (b"Xing", b"Info", b"VBRI"))


class SoundFileDecoder:
    """libsndfile: WAV, FLAC, OGG (Vorbis, Opus), MP3, AIFF, AU, CAF and more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open_sequential(path)
        self.sample_rate = int(self._file.samplerate)
        self.channels = int(self._file.channels)
        # "RAW" is a WAV whose header is not believed.
        self.codec = f"{self._file.format.replace('RAW', 'WAV')} {self._file.subtype}"
        self.problem = ""

    @property
    def frames(self) -> int | None:
        frames = int(self._file.frames)
        return frames if frames < 1 << 60 else None

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        done, size, again = 0, _BLOCK_FRAMES, False
        while True:
            try:
                if again:
                    again = False
                    self._start_over(done)
                block = self._file.read(size, dtype="float32", always_2d=True)
            except soundfile.SoundFileError as error:
                if size == _BLOCK_FRAMES:
                    size, again = _SMALL_BLOCK_FRAMES, True
                    continue
                self.problem = f"damaged or cut off after {self._seconds(done)} ({reason(error)})"
                return
            if not len(block):
                break
            done += len(block)
            yield block
        promised = self._promised()
        # MP3 decoders drop a frame or two at the ends; that is no damage.
        slack = 4 * 1152 if self._file.format == "MP3" else 0
        if promised is not None and done + slack < promised:
            self.problem = (
                f"cut off after {self._seconds(done)}: the header promises {self._seconds(promised)}"
            )
        elif self._file.format == "OGG" and not _ogg_complete(self._path):
            self.problem = f"cut off after {self._seconds(done)}: the last page is not marked as the end"

    def _start_over(self, skip: int) -> None:
        """Open the file again and read past the first ``skip`` frames: no seeking in what is damaged."""
        self._file.close()
        self._file = _open_sequential(self._path)
        while skip > 0 and (
            part := len(self._file.read(min(skip, _BLOCK_FRAMES), dtype="float32", always_2d=True))
        ):
            skip -= part

    def _promised(self) -> int | None:
        """Frames the header speaks of: libsndfile corrects a WAV's length to what is there, but logs it."""
        logged = _DATA_LENGTH.search(self._file.extra_info)
        if logged and self.frames and int(logged[2]) > 0 and int(logged[1]) < _UNKNOWN_LENGTH:
            return self.frames * int(logged[1]) // int(logged[2])
        return self.frames

    def _seconds(self, frames: int) -> str:
        return f"{frames / self.sample_rate:.2f} s"

    def close(self) -> None:
        self._file.close()


class AvFileDecoder:
    """PyAV on a local file: M4A, AAC, WebM, WMA and more.

    Args:
        problem: what libsndfile said where it knows the format and found it damaged; kept as this decoder's
            problem.
    """

    def __init__(self, path: Path, problem: str = "") -> None:
        options = {"format_whitelist": _AV_FORMATS, "protocol_whitelist": "file"}
        file = Bounded(str(path))
        try:
            self._decoder = AvDecoder(file, options=options, name=str(path))
        except BaseException:
            file.close()
            raise
        self._errors = (import_av(str(path)).FFmpegError, OSError, ValueError)
        self.sample_rate = self._decoder.sample_rate
        self.channels = self._decoder.channels
        self.codec = self._decoder.codec
        self.problem = problem

    @property
    def frames(self) -> int | None:
        seconds = self._decoder.sound_seconds or self._decoder.seconds
        return None if seconds is None else round(seconds * self.sample_rate)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        done = 0
        try:
            for block in self._decoder.blocks():
                done += len(block)
                yield block
        except self._errors as error:
            self.problem = f"damaged or cut off after {done / self.sample_rate:.2f} s ({reason(error)})"
            return
        seconds = self._decoder.sound_seconds
        # Only these containers state a length; of the others FFmpeg guesses it. Encoders pad, hence the
        # tolerance.
        stated = self.codec.startswith(("mov", "matroska")) and seconds is not None
        if stated and seconds and done / self.sample_rate < seconds - 0.1:
            self.problem = (
                f"cut off after {done / self.sample_rate:.2f} s: the header promises {seconds:.2f} s"
            )

    def close(self) -> None:
        self._decoder.close()


def open_decoder(path: Path) -> Decoder:
    """The decoder that reads ``path``.

    Raises:
        UnreadableAudio: missing, a folder, not a regular file, empty, forbidden, not audio, or an absurd
            header.
    """
    _check_file(path)
    _check_beginning(path)
    try:
        decoder: Decoder = SoundFileDecoder(path)
    except soundfile.SoundFileError as error:
        decoder = _open_with_av(path, error)
    if not (MIN_RATE_HZ <= decoder.sample_rate <= MAX_RATE_HZ and 1 <= decoder.channels <= MAX_CHANNELS):
        said = f"{decoder.sample_rate} Hz, {decoder.channels} channels"
        decoder.close()
        raise UnreadableAudio(
            f"{path}: its header says {said}, which is no recording: {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz and up to "
            f"{MAX_CHANNELS} channels are read",
            path=str(path),
        )
    return decoder


def _open_with_av(path: Path, refusal: Exception) -> Decoder:
    """PyAV's try at what libsndfile refused; its words are kept if PyAV refuses too."""
    damaged = "malformed" in str(refusal).lower()
    try:
        av = import_av(str(path))
    except BackendMissing:
        raise UnreadableAudio(
            f"{path} cannot be decoded ({reason(refusal)}): use WAV, FLAC, OGG or MP3; for M4A, AAC and "
            f"WebM run: {install_command('network')}",
            path=str(path),
        ) from refusal
    try:
        return AvFileDecoder(path, reason(refusal) if damaged else "")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnreadableAudio(
            f"{path} is not audio that can be decoded ({reason(refusal)}): give a WAV, FLAC, OGG or MP3",
            path=str(path),
        ) from error


def _check_file(path: Path) -> None:
    """Say in plain words what would otherwise surface as "System error"."""
    try:
        # O_NONBLOCK: opening a named pipe must not wait for a writer.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            found = os.fstat(handle)
        finally:
            os.close(handle)
    except FileNotFoundError:
        raise UnreadableAudio(
            f"no such file: {path} (a microphone whose name looks like a path can be given by its number)",
            path=str(path),
        ) from None
    except PermissionError:
        if path.is_dir():  # Windows
            raise UnreadableAudio(f"{path} is a folder: give one audio file", path=str(path)) from None
        raise UnreadableAudio(f"{path} may not be read: permission denied", path=str(path)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadableAudio(f"{str(path)!r} cannot be opened: {reason}", path=str(path)) from None
    if stat.S_ISDIR(found.st_mode):
        raise UnreadableAudio(f"{path} is a folder: give one audio file", path=str(path))
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableAudio(
            f"{path} is not a regular file: pipe raw PCM to standard input with '-'", path=str(path)
        )
    if found.st_size == 0:
        raise UnreadableAudio(f"{path} is empty: 0 bytes", path=str(path))
    if path.suffix.lower() in RAW_SUFFIXES:
        raise UnreadableAudio(
            f"{path} has no header: pipe it with its format, as in "
            f"'stream-classify --input - --sample-rate 16000 --format s16le < {path.name}'",
            path=str(path),
        )


def _check_beginning(path: Path) -> None:
    """Say of what is named like sound and is none what it is, before a decoder guesses."""
    with open(path, "rb") as file:
        head = file.read(512)
        kind = text_kind(head)
        if not kind and path.suffix.lower() in _PLAYLIST_SUFFIXES:
            kind = "a playlist"
        if kind.endswith("playlist"):
            raise UnreadableAudio(
                f"{path} is {kind}, which holds addresses, not sound: give --input one of the addresses in it",
                path=str(path),
            )
        if kind:
            raise UnreadableAudio(
                f"{path} is {kind}, not sound: {_INSTEAD[kind]}",
                path=str(path),
            )
        if not any(head):
            for _ in range(_ZEROS_BYTES >> 20):
                if any(file.read(1 << 20)):
                    return
            if file.read(1):
                raise UnreadableAudio(
                    f"{path} begins with more than {_ZEROS_BYTES >> 20} MiB of zeros: it is no sound file; "
                    "download or copy it again",
                    path=str(path),
                )


def _ogg_complete(path: Path) -> bool:
    """Whether the last Ogg page is whole and marked as the end of the stream (RFC 3533, section 6)."""
    with open(path, "rb") as file:
        file.seek(
            -min(os.fstat(file.fileno()).st_size, 1 << 17), os.SEEK_END
        )  # a page is at most 65 307 bytes
        tail = file.read()
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27:
        return False
    lacing = tail[at + 27 : at + 27 + tail[at + 26]]
    whole = len(lacing) == tail[at + 26] and len(tail) >= at + 27 + len(lacing) + sum(lacing)
    return whole and bool(tail[at + 5] & 0x04)
