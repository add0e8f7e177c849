"""A trial of a model file that may be anything, in a process of its own: what it does there, it cannot do here.

A kilobyte can ask for a product of matrices that takes half a minute, before the first sound or at some sound, or abort
the process inside ONNX Runtime. No look at the file tells. So a file that does not come with the package is opened and
run in a child with limits of time and memory first; it costs a tenth of a second.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from stream.errors import ModelError, StreamClassifyError

TRIAL_SECONDS = 10.0  # in which a model must have been opened and run for a few steps
_FAILED, _FINE = 3, 0
_POLL_SECONDS = 0.002


def try_model(path: Path, memory_bytes: int) -> None:
    """Open and run the model in a child process; nothing happens where there is no ``fork`` (Windows, macOS).

    A model that is refused by an error there is refused by the same error here, when it is loaded.

    Args:
        path: of the file.
        memory_bytes: address space that the child may have.

    Raises:
        ModelError: it takes too long, or ends the process.
    """
    if sys.platform != "linux":
        return
    for stream in (sys.stdout, sys.stderr):  # so that nothing unwritten is written twice
        if stream is not None and not stream.closed:
            stream.flush()
    child = os.fork()
    if child == 0:
        _be_the_child(path, memory_bytes)
    end = time.monotonic() + TRIAL_SECONDS
    try:
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
            if time.monotonic() > end:
                raise ModelError(
                    f"model {path}: opening it and a few steps take more than {TRIAL_SECONDS:g} s; "
                    "no sound could be heard live with it, and it is not opened here"
                )
            time.sleep(_POLL_SECONDS)
    except BaseException:
        _end(child)
        raise
    if os.WIFSIGNALED(status):
        raise ModelError(
            f"model {path}: ended the process that tried it (signal {os.WTERMSIG(status)}); export it again"
        )


def _end(child: int) -> None:
    os.kill(child, 9)
    os.waitpid(child, 0)


def _be_the_child(path: Path, memory_bytes: int) -> None:
    """Never returns."""
    code = _FAILED
    try:
        import resource

        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (int(TRIAL_SECONDS) + 1, int(TRIAL_SECONDS) + 1))
        _run(path)
        code = _FINE
    except (StreamClassifyError, MemoryError):
        code = _FAILED
    finally:
        os._exit(code)


def _run(path: Path) -> None:
    """A second of what live sound contains, hop by hop and at once: silence, noise, full scale."""
    import numpy as np

    from stream.classifier import StreamClassifier
    from stream.inference.session import Model

    model = Model.load(path, "cpu")
    classifier = StreamClassifier(model)
    rate = classifier.sample_rate
    noise = np.random.default_rng(0).uniform(-1, 1, rate // 4).astype(np.float32)
    for sound in (np.zeros(rate // 4, np.float32), 0.01 * noise, noise, np.sign(noise)):
        for at in range(0, len(sound), classifier.hop):
            classifier.push(sound[at : at + classifier.hop])
        classifier.push(sound)
