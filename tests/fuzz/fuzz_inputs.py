"""Coverage-guided fuzzing of audio files, scripted microphones, detector rules, manifests, run configurations and what
peers of /v1/stream say (needs atheris, a tool, not a dependency).

    python tests/fuzz/fuzz_inputs.py audio|script|rules|manifest|config|peer -runs=100000 CORPUS_FOLDER

Anything but success or one of our own errors stops it; so do two seconds (-timeout=2) and 1 GiB (-rss_limit_mb=1024).
What it finds becomes a case beside the hypothesis tests of the same inputs.
"""

from __future__ import annotations

import io
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import atheris
import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
with atheris.instrument_imports(include=["stream", "export"]):
    from export.data.dataset import read_dataset
    from export.data.splits import split_dataset
    from stream.capture.files import FileSource
    from stream.capture.scenario import Scenario
    from stream.decisions.spec import DetectorSpec
    from stream.errors import StreamClassifyError
    from stream.server.socket.client_messages import Hello, NewRules
    from stream.server.socket.connection import decode_text
    from stream.server.socket.overrides import changed_rules
    from stream.server.socket.sound_formats import make_decoder
    from stream.settings.rule_texts import detector_spec

FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-"))
FIELDS = ("threshold", "peak_threshold", "min_on", "min_off", "refractory", "smoothing")


def fuzz_audio(data: bytes) -> None:
    """Header and sound of a file, decoded to its end or to 2**20 samples."""
    path = FOLDER / "sound"
    path.write_bytes(data)
    try:
        with FileSource(path) as source:
            heard = 0
            for chunk in source:
                heard += len(chunk.samples)
                if heard > 2**20:
                    break
    except StreamClassifyError:
        return


def fuzz_script(data: bytes) -> None:
    try:
        Scenario.parse("sim:" + data.decode(errors="replace"))
    except StreamClassifyError:
        return


def fuzz_rules(data: bytes) -> None:
    texts = data.decode(errors="replace").split("\n")
    try:
        detector_spec(
            DetectorSpec(),
            ("speech", "music"),
            dict(zip(FIELDS, (texts[i :: len(FIELDS)] for i in range(len(FIELDS))), strict=True)),
        )
    except StreamClassifyError:
        return


def fuzz_manifest(data: bytes) -> None:
    path = FOLDER / "manifest.csv"
    path.write_bytes(data)
    try:
        split_dataset(read_dataset(path))
    except StreamClassifyError:
        return


def fuzz_config(data: bytes) -> None:
    from export.cli.train import _config

    path = FOLDER / "config.json"
    path.write_bytes(data)
    try:
        _config(path, None)
    except StreamClassifyError:
        return


def fuzz_peer(data: bytes) -> None:
    """A text message, and behind a line break the bytes of one of sound."""
    text, _, sound = data.partition(b"\n")
    try:
        message = decode_text(text.decode(errors="replace"))
        if isinstance(message, NewRules):
            changed_rules(DetectorSpec(), ("speech", "music"), message.rules)
        if isinstance(message, Hello):
            make_decoder(message).decode(sound)
    except StreamClassifyError:
        return


def sounds() -> list[bytes]:
    """One small file of each kind libsndfile writes here."""
    made = []
    for kind, subtype in (
        ("WAV", "PCM_16"),
        ("WAV", "FLOAT"),
        ("FLAC", None),
        ("OGG", "VORBIS"),
        ("MP3", None),
    ):
        buffer = io.BytesIO()
        soundfile.write(buffer, np.sin(np.arange(800) / 9), 16000, format=kind, subtype=subtype)
        made.append(buffer.getvalue())
    return made


def config() -> list[bytes]:
    import msgspec

    from export.training import TrainConfig

    return [msgspec.json.encode(TrainConfig(data="recordings"))]


TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]]]] = {
    "audio": (fuzz_audio, sounds),
    "script": (
        fuzz_script,
        lambda: [b"noise?unplug@10s&for=3s&xrun@20s&drift=200ppm&nan@31s&rate=44100&seed=1&loop=2"],
    ),
    "rules": (fuzz_rules, lambda: [b"0.5\nspeech=0.1\nmusic=2\n0\n0.3\nspeech=0.7"]),
    "manifest": (
        fuzz_manifest,
        lambda: [
            b"filename,label,fold,split\na.wav,x,1,train\n",
            b"filename\tonset\toffset\tevent_label\na.wav\t0\t1\tx\n",
        ],
    ),
    "config": (fuzz_config, config),
    "peer": (
        fuzz_peer,
        lambda: [
            b'{"type":"hello","version":1,"rate":16000,"channels":2,"channel":"mix","labels":["speech"],"scores":"all"}\n'
            + bytes(8),
            b'{"type":"hello","version":1,"rate":48000,"format":"opus","start":7,"resume":"a.b","received":3}\n\xfc\xff\xfe',
            b'{"type":"rules","rules":{"threshold":0.5,"class":{"speech":{"release":0.1,"enabled":true}}}}\n',
            b'{"type":"gap","samples":160}\n',
        ],
    ),
}


def main() -> None:
    name, *rest = sys.argv[1:]
    target, seeds = TARGETS[name]
    for folder in [Path(word) for word in rest if not word.startswith("-")][:1]:
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds()):
            (folder / f"seed{number}").write_bytes(seed)
    warnings.simplefilter("ignore")
    atheris.Setup([sys.argv[0], *rest], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
