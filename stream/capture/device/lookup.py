"""Which microphones there are, which one is meant, and which one it was when it comes back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from stream.capture.device.portaudio import explain, portaudio, reinitialise
from stream.capture.device.sound_server import server_sources
from stream.errors import DeviceAmbiguous, DeviceError, DeviceNotFound, UnsupportedRate

# Tried in this order when the device's own default does not work; also what an error offers.
COMMON_RATES_HZ = (48000, 44100, 32000, 16000, 24000, 22050, 11025, 8000, 96000, 88200, 192000)

_CHILD_SECONDS = 10.0
PULSE = "pulse"  # PortAudio's name for all that PulseAudio or PipeWire offer
SOUND_SERVER = "sound server"


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """One of PortAudio's devices.

    Attributes:
        index: PortAudio's number; it changes when devices come and go.
        name, hostapi: in PortAudio's words.
        max_input_channels: 0 for a device that only plays.
        default_rate: Hz.
        is_default: the system's default input.
        source: which of the sound server's sources it is, for PortAudio's one device "pulse"; "" for all others.
    """

    index: int
    name: str
    hostapi: str
    max_input_channels: int
    default_rate: int
    is_default: bool
    source: str = ""

    @property
    def full_name(self) -> str:
        return f"{self.name}, {self.hostapi}"


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """What stays the same of a device that is unplugged and comes back: never its index.

    Attributes:
        name, hostapi: in PortAudio's words.
        channels: how many of its channels are needed.
        source: of the sound server, see `DeviceInfo`.
    """

    name: str
    hostapi: str
    channels: int
    source: str = ""

    @classmethod
    def of(cls, device: DeviceInfo, channels: int) -> DeviceIdentity:
        return cls(device.name, device.hostapi, channels, device.source)

    def find(self, devices: Sequence[DeviceInfo]) -> DeviceInfo:
        """The same device among ``devices``: by its exact name, else by its name without ALSA's card number,
        which changes when it is plugged in again and at each boot.

        Raises:
            DeviceNotFound: it is not there (yet).
            DeviceAmbiguous: several could be it; recording from a wrong one would be worse than waiting.
        """
        if self.source:
            for device in named_sources(devices):
                if device.source == self.source:
                    return device
            raise DeviceNotFound(f"microphone '{self.name}' is not there: plug it in again", available=())
        fit = [d for d in devices if d.hostapi == self.hostapi and d.max_input_channels >= self.channels]
        same = [d for d in fit if d.name == self.name]
        if not same:
            same = [d for d in fit if _without_card(d.name) == _without_card(self.name)]
        if not same:
            raise DeviceNotFound(
                f"microphone '{self.name}, {self.hostapi}' is not there: plug it in again",
                available=tuple(d for d in devices if d.max_input_channels > 0),
            )
        if len(same) > 1:
            raise DeviceAmbiguous(
                f"microphone '{self.name}, {self.hostapi}' could be {_listed(same)}: leave one plugged in",
                candidates=tuple(same),
            )
        return same[0]


def _without_card(name: str) -> str:
    """'USB Audio: - (hw:1,0)' as 'USB Audio: - (hw:*,0)'."""
    return re.sub(r"\(hw:\d+,(\d+)\)", r"(hw:*,\1)", name)


def list_devices() -> tuple[DeviceInfo, ...]:
    """All sound devices, in PortAudio's order: the position is the index. Those with ``max_input_channels`` can record.

    The list is from when PortAudio was loaded or last refreshed (`refresh`).

    Raises:
        BackendMissing: PortAudio is not installed.
        DeviceError: PortAudio hangs or fails.
    """
    with portaudio() as sd:
        try:
            hosts = [host["name"] for host in sd.query_hostapis()]
            # Not sounddevice.default.device: that is from when sounddevice was imported.
            default = sd.query_hostapis(sd.default.hostapi)["default_input_device"] if hosts else -1
            return tuple(
                DeviceInfo(
                    index,
                    device["name"],
                    hosts[device["hostapi"]],
                    device["max_input_channels"],
                    round(device["default_samplerate"]),
                    index == default,
                )
                for index, device in enumerate(sd.query_devices())
            )
        except sd.PortAudioError as error:
            raise DeviceError(f"PortAudio does not list its devices: {error}; try again") from error


def named_sources(devices: Sequence[DeviceInfo]) -> tuple[DeviceInfo, ...]:
    """The sources of PulseAudio or PipeWire as devices, each with the number of PortAudio's "pulse"; microphones first.

    () where PortAudio has no such device, or there is no sound server.
    """
    pulse = next((d for d in devices if d.name == PULSE and d.max_input_channels > 0), None)
    if pulse is None:
        return ()
    return tuple(
        DeviceInfo(
            pulse.index,
            source.description,
            f"{SOUND_SERVER}, {source.name}",
            source.channels,
            source.sample_rate,
            pulse.is_default and source.is_default,
            source.name,
        )
        for source in server_sources()
    )


def refresh() -> tuple[DeviceInfo, ...]:
    """All devices as they are now.

    PortAudio is made to look again. While streams are open in this process that would kill them, so a child
    process looks instead, and only devices that have the same number here and there are given: only those
    can be opened.

    Raises:
        BackendMissing, DeviceError: see `list_devices`; also when the child fails.
    """
    if reinitialise():
        return list_devices()
    now = {(device.index, device.full_name) for device in _list_in_child()}
    return tuple(device for device in list_devices() if (device.index, device.full_name) in now)


def _list_in_child() -> list[DeviceInfo]:
    """`list_devices` of a new process."""
    code = "from stream.capture.device import lookup; lookup.print_devices()"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
            capture_output=True,
            check=True,
            timeout=_CHILD_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise DeviceError(f"a child process could not list the microphones: {error}; try again") from error
    return [DeviceInfo(**row) for row in json.loads(done.stdout)]


def print_devices() -> None:
    """Print `list_devices` as JSON; the other side of `refresh`."""
    print(json.dumps([asdict(device) for device in list_devices()]))


def resolve_device(query: int | str | None, devices: Sequence[DeviceInfo] | None = None) -> DeviceInfo:
    """The input device that is meant.

    Args:
        query: None = the default input; a number = PortAudio's index; a text = its words, in this order and
            in any case, within "name, host API" (the rule of python-sounddevice). One exact match beats
            several partial ones.
        devices: where to look; None = `list_devices`.

    Raises:
        DeviceNotFound: none fits, or it cannot record.
        DeviceAmbiguous: several fit.
        BackendMissing, DeviceError: see `list_devices`.
    """
    devices = list_devices() if devices is None else devices
    inputs = tuple(device for device in devices if device.max_input_channels > 0)
    if not inputs:
        raise DeviceNotFound(
            "no microphone is there: plug one in, start the sound server, or listen to a file with --input"
        )
    if query is None:
        for device in inputs:
            if device.is_default:
                return device
        raise DeviceNotFound(f"no default microphone: choose one of {_listed(inputs)}", available=inputs)
    if isinstance(query, int):
        for device in devices:
            if device.index == query:
                return _able_to_record(device, inputs)
        raise DeviceNotFound(
            f"device {query}: there is none of that number; inputs are {_listed(inputs)}", available=inputs
        )
    try:
        return _match(query, devices, inputs)
    except DeviceNotFound:
        # A name that only the sound server knows. What a loudspeaker plays is meant only where no microphone is.
        sources = named_sources(devices)
        for some in (tuple(s for s in sources if not s.source.endswith(".monitor")), sources):
            if any(_has_in_order(source.full_name, query) for source in some):
                return _match(query, some, some)
        raise


def next_input(
    current: DeviceInfo, fits: Callable[[DeviceInfo], bool], devices: Sequence[DeviceInfo] | None = None
) -> DeviceInfo:
    """The input device behind ``current``, round and round.

    Where a sound server has microphones, it is one of these, by name; else one of PortAudio's. What a loudspeaker plays
    is left out, as long as there is a microphone.

    Args:
        current: the device that is listened to.
        fits: whether a device will do.
        devices: where to look; None = `list_devices`.

    Raises:
        DeviceNotFound: there is no other one that fits.
        BackendMissing, DeviceError: see `list_devices`.
    """
    devices = list_devices() if devices is None else devices
    named = list(named_sources(devices))
    inputs = [source for source in named if not source.source.endswith(".monitor")] or named
    inputs = inputs or [device for device in devices if device.max_input_channels > 0]
    place = next((i for i, device in enumerate(inputs) if _same(device, current)), -1)
    for device in inputs[place + 1 :] + inputs[: max(place, 0)]:
        if not _same(device, current) and fits(device):
            return device
    raise DeviceNotFound("no other microphone is there; plug one in", available=tuple(inputs))


def _same(one: DeviceInfo, other: DeviceInfo) -> bool:
    return (one.source, one.full_name) == (other.source, other.full_name)


def _match(query: str, devices: Sequence[DeviceInfo], inputs: tuple[DeviceInfo, ...]) -> DeviceInfo:
    matches = [device for device in inputs if _has_in_order(device.full_name, query)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        exact = [d for d in matches if query.lower() in (d.name.lower(), d.full_name.lower())]
        if len(exact) == 1:
            return exact[0]
        raise DeviceAmbiguous(
            f"device {query!r} could be {_listed(matches)}: give a number, or more of the name",
            candidates=tuple(matches),
        )
    for device in devices:
        if _has_in_order(device.full_name, query):
            return _able_to_record(device, inputs)
    raise DeviceNotFound(
        f"device {query!r}: none has that in its name; inputs are {_listed(inputs)}", available=inputs
    )


def _able_to_record(device: DeviceInfo, inputs: tuple[DeviceInfo, ...]) -> DeviceInfo:
    if device.max_input_channels > 0:
        return device
    raise DeviceNotFound(
        f"device [{device.index}] {device.full_name} only plays: choose an input, {_listed(inputs)}",
        available=inputs,
    )


def _has_in_order(text: str, query: str) -> bool:
    """Whether the words of ``query`` occur in ``text``, one after the other, in any case."""
    text, at = text.lower(), 0
    for word in query.lower().split():
        at = text.find(word, at)
        if at < 0:
            return False
        at += len(word)
    return True


def _listed(devices: Iterable[DeviceInfo]) -> str:
    return "; ".join(f"[{device.index}] {device.full_name}" for device in devices)


def choose_rate(device: DeviceInfo, wanted: int | None, channels: int) -> int:
    """A rate the device records at, Hz.

    Args:
        wanted: this and no other; None = the device's own default, which needs no conversion, else the first
            of `COMMON_RATES_HZ` that works.
        channels: how many are needed.

    Raises:
        UnsupportedRate: ``wanted`` does not work (the message lists what does), or nothing does.
        DeviceBusy, DeviceError: the device cannot be asked.
    """
    for rate in (wanted,) if wanted is not None else (device.default_rate, *COMMON_RATES_HZ):
        if records_at(device, rate, channels):
            return rate
    works = [
        rate for rate in sorted({device.default_rate, *COMMON_RATES_HZ}) if records_at(device, rate, channels)
    ]
    offer = f"choose one of {', '.join(map(str, works))} Hz" if works else "nor at any usual rate"
    asked = f"{wanted} Hz" if wanted is not None else "its default rate"
    raise UnsupportedRate(
        f"microphone '{device.name}' does not record at {asked}: {offer}",
        sample_rate=wanted,
        supported=tuple(works),
    )


def records_at(device: DeviceInfo, rate: int, channels: int) -> bool:
    """Whether a device records at a rate in Hz, with so many channels."""
    with portaudio() as sd:
        try:
            sd.check_input_settings(device=device.index, channels=channels, samplerate=rate, dtype="float32")
        except sd.PortAudioError as error:
            explained = explain(error, device.name, rate)
            if isinstance(explained, UnsupportedRate):
                return False
            raise explained from error
    return True
