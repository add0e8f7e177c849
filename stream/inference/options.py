"""How ONNX Runtime is run. The one place that sets session options and picks a provider.

One thread, in order, no spinning: a step of a small recurrent net takes some ten microseconds, and ONNX
Runtime's default pool would burn whole cores waiting between steps.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args

from stream.errors import ProviderUnavailable, UsageError

if TYPE_CHECKING:
    import onnxruntime

Provider = Literal["auto", "cpu", "cuda"]
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def session_options() -> onnxruntime.SessionOptions:
    """Options of every session this project makes."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # Bytes that are both ONNX and ORT's own format would be taken for the latter, past our look at the former.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # The arena costs a small step more than the C library's allocator does, and keeps what it once took.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4  # its errors are raised; printed too they would spoil the one line
    return options


@cache
def run_options() -> onnxruntime.RunOptions:
    """The defaults, made once: left out, ONNX Runtime makes them anew for every run, at 0.8 µs."""
    import onnxruntime as ort

    return ort.RunOptions()


def providers(choice: Provider) -> list[list[str]]:
    """Provider lists to try, best first; "auto" may give two.

    Raises:
        ProviderUnavailable: CUDA was asked for and this ONNX Runtime has none.
    """
    if choice not in get_args(Provider):
        raise UsageError(f"provider {choice!r}: must be one of {', '.join(get_args(Provider))}")
    import onnxruntime as ort

    has_cuda = CUDA in ort.get_available_providers()
    if choice == "cuda" and not has_cuda:
        raise ProviderUnavailable(
            f"provider cuda: this onnxruntime {ort.__version__} has no CUDA; "
            "pip uninstall onnxruntime && pip install onnxruntime-gpu, with CUDA 12 and cuDNN 9 in reach"
        )
    if choice == "cuda":
        return [[CUDA, CPU]]
    return [[CPU], [CUDA, CPU]] if choice == "auto" and has_cuda else [[CPU]]


def create_session(data: bytes, names: list[str], options: onnxruntime.SessionOptions | None = None) -> Any:
    """An InferenceSession on exactly these providers: the only way that this project opens a model.

    Args:
        data: the bytes of an ONNX file.
        names: providers, as ``providers`` lists them.
        options: from ``session_options``, with changes; None = as they are.

    Raises:
        ProviderUnavailable: the first provider is not granted.
    """
    import onnxruntime as ort

    # Without enable_fallback=0 a refused model is tried twice, with a message of its own on standard output.
    session = ort.InferenceSession(
        data, sess_options=options or session_options(), providers=names, enable_fallback=0
    )
    granted = session.get_providers()
    if granted[0] != names[0]:
        raise ProviderUnavailable(
            f"provider {names[0]}: ONNX Runtime fell back to {granted[0]}; check the CUDA and cuDNN libraries"
        )
    return session
