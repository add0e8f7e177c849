"""Packaging: build the compiled kernel into the wheel where there is a C compiler, else make a wheel without it.

STREAM_CLASSIFY_NATIVE=0 leaves it out (a wheel for every machine), =1 fails where it cannot be built.
"""

from __future__ import annotations

import os
import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeHook(BuildHookInterface[Any]):
    """Called by hatchling for wheels and editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        wanted = os.environ.get("STREAM_CLASSIFY_NATIVE", "")
        if self.target_name != "wheel" or wanted == "0":
            return
        script = runpy.run_path(str(Path(self.root) / ".ci" / "build_kernel.py"))
        complaint = script["build_kernel"]()
        if complaint and wanted == "1":
            raise RuntimeError(f"compiled kernel: {complaint}")
        if complaint:
            self.app.display_warning(f"without the compiled kernel: {complaint}")
            return
        build_data["artifacts"].append(script["LIBRARY"].relative_to(self.root).as_posix())
        build_data["pure_python"] = False
        # No Python inside: one library for every Python 3.
        build_data["tag"] = "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")
