"""What a file is, by its first bytes: for sound without a name, and for names that promise something else."""

from __future__ import annotations

_AT_START = {
    b"fLaC": "a FLAC file",
    b"OggS": "an OGG file",
    b"ID3": "an MP3 file",
    b".snd": "an AU file",
    b"dns.": "an AU file",
    b"caff": "a CAF file",
    b"riff\x2e\x91\xcf\x11": "a W64 file",
    b"\x1aE\xdf\xa3": "a WebM or Matroska file",
    b"0&\xb2u\x8ef\xcf\x11": "a WMA file",
    b"#!AMR": "an AMR file",
    b"wvpk": "a WavPack file",
    b"MAC ": "a Monkey's Audio file",
    b"TTA1": "a TTA file",
    b"DSD ": "a DSF file",
    b"FLV\x01": "an FLV file",
    b"%PDF-": "a PDF document",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b\x08": "a gzip archive",
}
_IN_FORM = {
    b"WAVE": "a WAV file",
    b"AIFF": "an AIFF file",
    b"AIFC": "an AIFF file",
    b"AVI ": "an AVI video",
}
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")

# Kilobits per second by index, for MPEG-1 and MPEG-2/2.5, layers I to III (ISO 11172-3, 13818-3).
_BIT_RATES = {
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def bytes_needed(head: bytes) -> int:
    """How many of its first bytes tell whether a stream is a file of sound: 12, or two frames of what may be MP3."""
    if len(head) < 2 or head[0] != 0xFF or head[1] < 0xE0:
        return 12
    if len(head) < 7:
        return 7
    length = _mpeg_frame(head) or _adts_frame(head)
    return length + 7 if length else 12


def container(head: bytes) -> str:
    """What sort of audio or other file begins with ``head``, with its article; "" for what is none."""
    for magic, name in _AT_START.items():
        if head.startswith(magic):
            return name
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM") and len(head) >= 12:
        return _IN_FORM.get(head[8:12], "")
    if head[4:8] in _MP4_BOXES and int.from_bytes(head[:4], "big") < 1 << 31:
        return "an M4A or MP4 file"
    for frame, name in ((_mpeg_frame, "an MP3 file"), (_adts_frame, "an AAC file")):
        length = frame(head)
        if length and frame(head[length : length + 7]):
            return name
    return ""


def _mpeg_frame(head: bytes) -> int:
    """Length in bytes of the MPEG audio frame that begins here, 0 where none does."""
    if len(head) < 4 or head[0] != 0xFF or head[1] < 0xE0:
        return 0
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    rate, bits, padding = head[2] >> 2 & 3, head[2] >> 4, head[2] >> 1 & 1
    if version == 1 or layer == 4 or rate == 3 or bits in (0, 15) or head[3] & 3 == 2:
        return 0
    kbps, hz = _BIT_RATES[1 if version == 3 else 2, layer][bits], _SAMPLE_RATES[version][rate]
    if layer == 1:
        return (12_000 * kbps // hz + padding) * 4
    return (72_000 if layer == 3 and version != 3 else 144_000) * kbps // hz + padding


def _adts_frame(head: bytes) -> int:
    """Length in bytes of the ADTS frame (AAC) that begins here, 0 where none does."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length > 7 else 0
