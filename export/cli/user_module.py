"""A network from the user's own Python file: --module net.py:Net."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stream.errors import UsageError

if TYPE_CHECKING:
    from torch import nn


def user_module(text: str) -> nn.Module:
    """Run a Python file and build the network in it.

    Args:
        text: "net.py:Net", a file and what in it is a torch module, or makes one when called without arguments.

    Raises:
        UsageError: there is no such thing, or it fails.
    """
    from torch import nn

    file, _, name = text.rpartition(":")
    path = Path(file)
    if not file or not name or not path.is_file():
        raise UsageError(f"--module {text}: give a Python file and a name in it, such as net.py:Net")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"--module {text}: {path} is not a Python file; give one that ends in .py")
    code = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))  # for what the file imports from beside it
    sys.modules.setdefault(path.stem, code)
    try:
        spec.loader.exec_module(code)
        found = getattr(code, name, None)
        made = found() if callable(found) and not isinstance(found, nn.Module) else found
    except Exception as error:  # the user's own code raises whatever it likes
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(
            f"--module {text}: fails with {type(error).__name__} ({reason[:200]}); it must build the network when "
            "called without arguments"
        ) from None
    finally:
        sys.path.pop(0)
    if not isinstance(made, nn.Module):
        what = (
            "there is no such name in it"
            if found is None
            else f"it gives {type(made).__name__}, not a module"
        )
        raise UsageError(f"--module {text}: {what}; name a class or function that makes a torch.nn.Module")
    return made
