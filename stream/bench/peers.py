"""The same work by other packages, where they are installed. All of it is optional.

Peers are imported by name at run time, never by an import statement: no part of the runtime depends on them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.bench.cases import WHOLE_SECONDS
from stream.bench.timing import Case
from stream.features.spec import FeatureSpec, MfccSpec
from stream.inference.options import CPU, create_session

HIDDEN_UNITS = 64  # of torch's GRU by default: the size that the project states its goals for
# Fixed in the graph of silero-vad's model.
SILERO_SAMPLE_RATE = 16_000
SILERO_CHUNK_SAMPLES, SILERO_CONTEXT_SAMPLES = 512, 64
KALDI_FRAMES = 5000  # after which a new OnlineMfcc begins: it keeps every frame that it ever made

Samples = NDArray[np.float32]


def peer_cases(spec: FeatureSpec, sound: Samples, hidden: int = HIDDEN_UNITS) -> tuple[list[Case], list[str]]:
    """Cases of the peers that are installed, and a line about each that is left out.

    Args:
        spec: features to compute.
        sound: (n,) float32 at ``spec.sample_rate``.
        hidden: units of torch's GRU.
    """
    if not isinstance(spec, MfccSpec):
        return [], ["peers: they compute MFCC, which this model does not use"]
    cases: list[Case] = []
    missing: list[str] = []
    makers: list[tuple[str, Callable[[MfccSpec, Samples], list[Case]]]] = [
        ("librosa", _librosa),
        ("kaldi_native_fbank", _kaldi),
        ("silero_vad", _silero),
        ("torch", partial(_torch, hidden=hidden)),
    ]
    for name, make in makers:
        if find_spec(name) is None:
            missing.append(f"{name}: not installed")
        else:
            cases += make(spec, sound)
    return cases, missing


def _librosa(spec: MfccSpec, sound: Samples) -> list[Case]:
    librosa: Any = import_module("librosa")
    whole = np.resize(sound, round(WHOLE_SECONDS * spec.sample_rate))
    window = sound[: spec.n_fft].copy()

    def features(samples: Samples) -> object:
        mel = librosa.feature.melspectrogram(
            y=samples,
            sr=spec.sample_rate,
            n_fft=spec.n_fft,
            win_length=spec.win_length,
            hop_length=spec.hop_length,
            n_mels=spec.n_mels,
            center=False,
        )
        return librosa.feature.mfcc(
            S=librosa.power_to_db(mel, top_db=None), n_mfcc=spec.n_mfcc or spec.n_mels
        )

    frames = 1 + (len(whole) - spec.n_fft) // spec.hop_length
    hop = spec.hop_length / spec.sample_rate
    return [
        Case(
            "librosa_hop", "librosa, one window a call", lambda: features(window), hop, against="features_hop"
        ),
        Case(
            "librosa_whole",
            "librosa",
            lambda: features(whole),
            WHOLE_SECONDS,
            frames,
            "frame",
            "features_whole",
        ),
    ]


def _kaldi(spec: MfccSpec, sound: Samples) -> list[Case]:
    fbank: Any = import_module("kaldi_native_fbank")
    options = fbank.MfccOptions()
    options.frame_opts.dither = 0
    options.frame_opts.samp_freq = spec.sample_rate
    options.frame_opts.frame_length_ms = 1000 * spec.win_length / spec.sample_rate
    options.frame_opts.frame_shift_ms = 1000 * spec.hop_length / spec.sample_rate
    options.mel_opts.num_bins = spec.n_mels
    options.num_ceps = spec.n_mfcc or spec.n_mels
    pieces = [
        sound[at : at + spec.hop_length] for at in range(0, len(sound) - spec.hop_length, spec.hop_length)
    ]
    hops = cycle(pieces)
    state = {"mfcc": fbank.OnlineMfcc(options), "seen": 0}

    def push() -> None:
        online = state["mfcc"]
        online.accept_waveform(spec.sample_rate, next(hops))
        while state["seen"] < online.num_frames_ready:
            online.get_frame(state["seen"])
            state["seen"] += 1
        if state["seen"] >= KALDI_FRAMES:
            state["mfcc"], state["seen"] = fbank.OnlineMfcc(options), 0

    hop = spec.hop_length / spec.sample_rate
    return [Case("kaldi_hop", "kaldi-native-fbank OnlineMfcc", push, hop, against="features_hop")]


def _silero(_: MfccSpec, sound: Samples) -> list[Case]:
    home = find_spec("silero_vad")
    assert home is not None
    assert home.origin is not None
    # Not imported: its package wants torch, its model does not.
    path = Path(home.origin).parent / "data" / "silero_vad.onnx"
    session = create_session(path.read_bytes(), [CPU])
    chunk = np.zeros((1, SILERO_CONTEXT_SAMPLES + SILERO_CHUNK_SAMPLES), np.float32)
    chunk[0] = sound[: chunk.shape[1]]
    rate = np.array(SILERO_SAMPLE_RATE, np.int64)
    state = [np.zeros((2, 1, 128), np.float32)]

    def push() -> None:
        _, state[0] = session.run(None, {"input": chunk, "state": state[0], "sr": rate})

    seconds = SILERO_CHUNK_SAMPLES / SILERO_SAMPLE_RATE
    return [Case("silero", "silero-vad's model, 32 ms", push, seconds, 1, "chunk", "hop")]


def _torch(spec: MfccSpec, _: Samples, *, hidden: int) -> list[Case]:
    torch: Any = import_module("torch")
    torch.set_num_threads(1)
    network = torch.nn.GRU(spec.width, hidden, batch_first=True).eval()
    head = torch.nn.Linear(hidden, 3).eval()
    frame = torch.zeros(1, 1, spec.width)
    state = [torch.zeros(1, 1, hidden)]

    def step() -> None:
        with torch.inference_mode():
            out, state[0] = network(frame, state[0])
            torch.sigmoid(head(out))

    hop = spec.hop_length / spec.sample_rate
    return [Case("torch_step", f"torch eager, GRU-{hidden} and head", step, hop, 1, "step", "step")]
