"""Models as the commands take them: a bundled one by name, or a file that may be anything."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stream.cli.trial import try_model
from stream.errors import ModelError
from stream.installation import BUNDLED_MODELS, asset, bundled_model

if TYPE_CHECKING:
    from stream.inference.session import Model

HEADROOM_BYTES = 2 << 30  # beyond four times the file: far more than loading and trying any real model takes


def model_path(name: str) -> Path:
    """The file of a bundled model, or the one that was named.

    Raises:
        ModelError: neither, with what was meant: a bundled model nearly of this name, or a checkpoint.
    """
    if name in BUNDLED_MODELS:
        return bundled_model(name)
    path = Path(name)
    if path.suffix in (".pt", ".pth", ".ckpt"):
        made = shlex.quote(str(path.with_suffix(".onnx")))
        raise ModelError(
            f"model {name}: a checkpoint is not a model yet; "
            f"run: stream-classify export {shlex.quote(name)} -o {made}"
        )
    if not path.suffix and not os.path.exists(name):
        return bundled_model(name)  # which says what was meant
    return path


def load_model(name: str, provider: str = "auto", *, keep_ceiling: bool = False) -> Model:
    """A bundled model by name, or a file. Raises as ``Model.load``.

    Args:
        name: of a bundled model, or a path.
        provider: as ``Model.load`` takes it.
        keep_ceiling: leave the memory ceiling of an unknown file in force, for a process that does nothing but listen.
    """
    from stream.inference.session import Model

    path = model_path(name)
    with opening(path, provider, keep_ceiling=keep_ceiling):
        return Model.load(path, provider)  # type: ignore[arg-type]  # click has checked it


@contextmanager
def opening(path: Path, provider: str = "cpu", *, keep_ceiling: bool = False) -> Iterator[None]:
    """Around everything that opens a model: a trial of an unknown file, and a ceiling on memory.

    A few bytes of a graph can ask for more memory than there is, and Linux then ends some process, not always
    this one. With a ceiling the allocation fails, and the model is refused in a line. The limit is the whole
    process's, so it belongs to the commands, where nothing else runs yet, and not to the library. Elsewhere
    than on Linux, and where CUDA may be used, which reserves addresses without measure, there is none.

    Args:
        path: of the model.
        provider: "cpu", "cuda" or "auto".
        keep_ceiling: also afterwards, for a file that does not come with the package.

    Raises:
        ModelError: an unknown file did harm to the child process that tried it.
    """
    bundled = path in [asset(f"{name}.onnx") for name in BUNDLED_MODELS]
    if sys.platform != "linux":
        yield
        return
    import resource

    size = os.path.getsize(path) if os.path.isfile(path) else 0
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = pages * resource.getpagesize() + HEADROOM_BYTES + 4 * size
    allowed = min(limit for limit in (soft, wanted) if limit != resource.RLIM_INFINITY)
    if not bundled and os.path.isfile(path):
        try_model(path, allowed)
    if provider != "cpu" and _may_use_cuda():
        yield
        return
    resource.setrlimit(resource.RLIMIT_AS, (allowed, hard))
    try:
        yield
    except BaseException:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        raise
    if bundled or not keep_ceiling:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _may_use_cuda() -> bool:
    import onnxruntime

    from stream.inference.options import CUDA

    return CUDA in onnxruntime.get_available_providers()
