"""Complex numbers as pairs of real tensors, while a network is traced: ONNX has no operators for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

from export.recurrences.spelling import untraced

_COMPLEX = (torch.complex32, torch.complex64, torch.complex128)
# Functions that treat the real and the imaginary part alike.
_ALIKE = frozenset(
    """__getitem__ __neg__ broadcast_to cat chunk clone concat contiguous cumsum detach diagonal dropout expand
    expand_as flatten flip gather hstack index_select mean moveaxis movedim narrow neg pad permute repeat
    repeat_interleave reshape roll select split squeeze stack sum swapaxes t tile transpose unbind unflatten unfold
    unsqueeze view view_as vstack zeros_like""".split()  # noqa: SIM905
)
_QUESTIONS = ("shape", "device", "ndim", "requires_grad", "is_sparse", "layout", "is_cuda", "is_cpu")
_FACTORIES = (
    "zeros",
    "ones",
    "full",
    "empty",
    "new_zeros",
    "new_ones",
    "new_full",
    "new_empty",
    "zeros_like",
    "ones_like",
)


class Pair(Tensor):
    """A complex tensor; only its parts hold values.

    Attributes:
        re, im: of one shape.
    """

    re: Tensor
    im: Tensor

    @staticmethod
    def __new__(cls, re: Tensor, im: Tensor) -> Pair:
        """Of its parts."""
        dtype = torch.complex128 if re.dtype == torch.float64 else torch.complex64
        with untraced(), torch._C.DisableTorchFunction():
            pair: Pair = Tensor._make_wrapper_subclass(cls, tuple(int(n) for n in re.shape), dtype=dtype)
        pair.re, pair.im = re, im
        return pair

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(_name(func), func, args, kwargs or {})

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        raise TypeError(f"{func} of complex numbers: write it with their real and imaginary parts")


def _pair(value: Any) -> Pair:
    if isinstance(value, Pair):
        return value
    if isinstance(value, Tensor):
        if value.is_complex():
            value = value.detach().resolve_conj()
            return Pair(value.real.clone(), value.imag.clone())
        return Pair(value, torch.zeros_like(value))
    return Pair(torch.tensor(float(complex(value).real)), torch.tensor(float(complex(value).imag)))


def _parts(value: Any) -> tuple[Any, Any]:
    """Real and imaginary part; None for one that is zero."""
    if isinstance(value, Pair):
        return value.re, value.im
    if isinstance(value, Tensor) and not value.is_complex():
        return value, None
    if isinstance(value, (int, float)):
        return value, None
    if isinstance(value, complex):
        return value.real, value.imag
    pair = _pair(value)
    return pair.re, pair.im


def _add(a: Any, b: Any, alpha: float = 1) -> Pair:
    if alpha != 1:
        b = _multiply(b, alpha)
    (ar, ai), (br, bi) = _parts(a), _parts(b)
    re = ar + br
    im = bi if ai is None else ai if bi is None else ai + bi
    with untraced():
        alike = tuple(im.shape) == tuple(re.shape)
    return Pair(re, im if alike else im + torch.zeros_like(re))  # either may have been spread over more axes


def _subtract(a: Any, b: Any, alpha: float = 1) -> Pair:
    return _add(a, _multiply(b, -alpha))


def _multiply(a: Any, b: Any) -> Any:
    (ar, ai), (br, bi) = _parts(a), _parts(b)
    if ai is None:
        return ar * br if bi is None else Pair(ar * br, ar * bi)
    if bi is None:
        return Pair(ar * br, ai * br)
    return Pair(ar * br - ai * bi, ar * bi + ai * br)


def _divide(a: Any, b: Any) -> Any:
    br, bi = _parts(b)
    if bi is None:
        return _multiply(a, 1 / br)
    size = br * br + bi * bi
    return _multiply(a, Pair(br / size, -bi / size))


def _product(product: Callable[..., Tensor], a: Any, b: Any) -> Pair:
    """Of two arguments, linear in each."""
    (ar, ai), (br, bi) = _parts(a), _parts(b)
    if ai is None:
        return Pair(product(ar, br), product(ar, bi))
    if bi is None:
        return Pair(product(ar, br), product(ai, br))
    return Pair(product(ar, br) - product(ai, bi), product(ar, bi) + product(ai, br))


def _einsum(equation: str, *operands: Any) -> Pair:
    tensors = operands[0] if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
    sums: list[Any] = [None, None]
    for choice in range(1 << len(tensors)):
        parts = [_parts(tensor)[choice >> k & 1] for k, tensor in enumerate(tensors)]
        if any(part is None for part in parts):
            continue
        turns = choice.bit_count()  # i to that power
        term = torch.einsum(equation, *parts)
        term = -term if turns % 4 >= 2 else term
        sums[turns % 2] = term if sums[turns % 2] is None else sums[turns % 2] + term
    re, im = sums
    return Pair(torch.zeros_like(im) if re is None else re, torch.zeros_like(re) if im is None else im)


def _linear(x: Any, weight: Any, bias: Any = None) -> Pair:
    y = _product(torch.nn.functional.linear, x, weight)
    return y if bias is None else _add(y, bias)


def _exp(x: Pair) -> Pair:
    size = torch.exp(x.re)
    return Pair(size * torch.cos(x.im), size * torch.sin(x.im))


def _abs(x: Pair) -> Tensor:
    return torch.sqrt(x.re * x.re + x.im * x.im)


def _angle(x: Pair) -> Tensor:
    nothing = (x.re == 0) & (x.im == 0)  # ONNX has no arctangent of two numbers, and 0 / 0 is none
    return torch.atan2(x.im, torch.where(nothing, torch.ones_like(x.re), x.re))


def _power(x: Pair, exponent: Any) -> Pair:
    if not isinstance(exponent, int) or not 0 < exponent < 9:
        raise TypeError("a complex number to a power that is not 1 to 8")
    y = x
    for _ in range(exponent - 1):
        y = _multiply(y, x)
    return y


def _to(x: Any, *args: Any, **kwargs: Any) -> Any:
    asked = [a for a in (*args, *kwargs.values()) if isinstance(a, torch.dtype)]
    if isinstance(x, Pair):
        if asked and asked[0] not in _COMPLEX:
            return x.re
        return x
    return _pair(x)


def _transform(func: Any) -> Callable[..., Any]:
    """A transform along an axis within the frame, as the matrix that it is."""

    def run(x: Tensor, n: Any = None, dim: int = -1, norm: str | None = None) -> Any:
        re, im = _parts(x)
        size = int(re.shape[dim])
        n = None if n is None else int(n)
        with untraced(), torch._C.DisableTorchFunction():
            one = torch.eye(size, dtype=re.dtype)
            matrices = [func(one * unit, n, -1, norm) for unit in ((1,) if im is None else (1, 1j))]
            parts = [(m.real.contiguous(), m.imag.contiguous() if m.is_complex() else None) for m in matrices]
        given = [part.transpose(dim, -1) for part in (re, im) if part is not None]
        sums = []
        for each in (0, 1):
            if parts[0][each] is not None:
                terms = [part @ matrix[each] for part, matrix in zip(given, parts, strict=True)]
                sums.append((terms[0] + terms[1] if len(terms) == 2 else terms[0]).transpose(dim, -1))
        return Pair(*sums) if len(sums) == 2 else sums[0]

    return run


_TRANSFORMS = {
    f"fft_{name}": _transform(getattr(torch.fft, name)) for name in ("fft", "ifft", "rfft", "irfft")
}


def _set(x: Pair, index: Any, value: Any) -> None:
    value = _pair(value)
    x.re[index], x.im[index] = value.re, value.im


def _made(name: str, func: Any, args: Any, kwargs: Any) -> Pair:
    """A new tensor of a complex type."""
    rest = {key: value for key, value in kwargs.items() if key != "dtype"}
    args = tuple(a.re if isinstance(a, Pair) else a for a in args)
    if "full" in name:
        *first, value = args
        return Pair(func(*first, complex(value).real, **rest), func(*first, complex(value).imag, **rest))
    re = func(*args, **rest)
    re = re if re.is_floating_point() else re.float()
    return Pair(re, torch.zeros_like(re))


_TABLE: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("add", "__add__", "__radd__", "__iadd__", "add_"), _add),
    **dict.fromkeys(("sub", "__sub__", "subtract"), _subtract),
    **dict.fromkeys(("rsub", "__rsub__"), lambda a, b: _subtract(b, a)),
    **dict.fromkeys(("mul", "__mul__", "__rmul__", "multiply", "__imul__"), _multiply),
    **dict.fromkeys(("div", "__truediv__", "true_divide", "divide"), _divide),
    **dict.fromkeys(("__rtruediv__", "__rdiv__"), lambda a, b: _divide(b, a)),
    **dict.fromkeys(("matmul", "__matmul__", "mm", "bmm"), lambda a, b: _product(torch.matmul, a, b)),
    "__rmatmul__": lambda a, b: _product(torch.matmul, b, a),
    "einsum": _einsum,
    "linear": _linear,
    "exp": _exp,
    **dict.fromkeys(("abs", "absolute"), _abs),
    **dict.fromkeys(("pow", "__pow__"), _power),
    "square": lambda x: _multiply(x, x),
    **dict.fromkeys(("conj", "conj_physical", "resolve_conj"), lambda x: Pair(x.re, -x.im)),
    "resolve_conj": lambda x: x,
    "reciprocal": lambda x: _divide(1.0, x),
    "real": lambda x: x.re,
    "imag": lambda x: x.im,
    **dict.fromkeys(("mT", "T"), lambda x: Pair(x.re.mT, x.im.mT)),
    **dict.fromkeys(("mH", "H"), lambda x: Pair(x.re.mT, -x.im.mT)),
    "angle": _angle,
    "view_as_real": lambda x: torch.stack([x.re, x.im], -1),
    "view_as_complex": lambda x: Pair(x[..., 0], x[..., 1]),
    "complex": Pair,
    "polar": lambda size, angle: Pair(size * torch.cos(angle), size * torch.sin(angle)),
    **dict.fromkeys(("to", "type", "cfloat"), _to),
    "dtype": lambda x: torch.complex128 if x.re.dtype == torch.float64 else torch.complex64,
    **_TRANSFORMS,
    "is_complex": lambda x: True,
    "__len__": lambda x: len(x.re),
    "__setitem__": _set,
    "__iter__": lambda x: iter([Pair(re, im) for re, im in zip(x.re.unbind(0), x.im.unbind(0), strict=True)]),
    "is_floating_point": lambda x: False,
    "dim": lambda x: x.re.dim(),
    "size": lambda x, *a: x.re.size(*a),
    "numel": lambda x: x.re.numel(),
}


def _name(func: Any) -> str:
    """Of a function, or of the attribute that a getter reads."""
    name = str(getattr(func, "__name__", ""))
    if name == "__get__":
        return str(getattr(getattr(func, "__self__", None), "__name__", name))
    return name


def _computed(name: str, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    if name in _QUESTIONS:
        return getattr(args[0].re, name)
    if name in _TABLE:
        return _TABLE[name](
            *args, **{k: v for k, v in kwargs.items() if k not in ("out", "copy", "non_blocking")}
        )
    if name not in _ALIKE or func is None:
        raise TypeError(
            f"{name} of complex numbers: there is no form for it; write it with their real and imaginary parts"
        )
    halves = [func(*tree_map(half, args), **tree_map(half, kwargs)) for half in (_real, _imaginary)]
    if isinstance(halves[0], Tensor):
        return Pair(*halves)
    return tuple(Pair(re, im) for re, im in zip(*halves, strict=True))


def _real(value: Any) -> Any:
    if isinstance(value, Pair):
        return value.re
    return _pair(value).re if isinstance(value, Tensor) and value.is_complex() else value


def _imaginary(value: Any) -> Any:
    if isinstance(value, Pair):
        return value.im
    return _pair(value).im if isinstance(value, Tensor) and value.is_complex() else value


_MAKERS = ("complex", "polar", "view_as_complex", "cfloat", *_TRANSFORMS)


class ComplexAsPairs(TorchFunctionMode):
    """Within: what is computed of complex numbers and sound is computed of pairs of real ones."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = _name(func)
        leaves, _ = tree_flatten((args, kwargs))
        if any(isinstance(leaf, Pair) for leaf in leaves):
            with self:
                return _computed(name, func, args, kwargs)
        dtypes = [leaf for leaf in leaves if leaf in _COMPLEX] if name in (*_FACTORIES, "to", "type") else []
        if dtypes and name in _FACTORIES:
            return _made(name, func, args, kwargs)
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        constant = [tensor for tensor in tensors if tensor.is_complex()]
        mixed = (
            constant and len(constant) < len(tensors) and any(t.dim() for t in tensors if not t.is_complex())
        )
        if constant and not mixed and not dtypes and len(constant) == len(tensors):
            with untraced():
                return func(*args, **kwargs)
        mixed = mixed or (tensors and any(isinstance(leaf, complex) for leaf in leaves))
        if mixed or dtypes or name in _MAKERS:
            return _computed(name, func, args, kwargs)
        return func(*args, **kwargs)
