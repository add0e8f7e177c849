"""The compiled kernel, an option: a small C library without dependencies, called through ctypes.

``mfcc.c`` is built while packaging, or by ``python .ci/build_kernel.py``; ``loading.py`` finds the library and
``kernel.py`` calls it.
"""

from stream.features.native.kernel import NativeKernel
from stream.features.native.loading import library

__all__ = ["NativeKernel", "library"]
