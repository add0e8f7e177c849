"""The compiled kernel, an option: a small C library without dependencies, called through ctypes.

``compile.py`` builds it from ``mfcc.c``, ``loading.py`` finds it, ``kernel.py`` calls it.
"""

from stream.features.native.kernel import NativeKernel
from stream.features.native.loading import library

__all__ = ["NativeKernel", "library"]
