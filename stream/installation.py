"""This installation: where its bundled files and its states are, and the command that adds an optional part to it."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from stream.errors import ModelError

NAME = "stream-classify"
BUNDLED_MODELS = ("default", "small", "alarms")


def asset(name: str) -> Path:
    """Path of a bundled file: inside the wheel, or beside the packages in a checkout.

    Raises:
        ModelError: this installation lacks it.
    """
    here = Path(__file__).resolve().parent
    for folder in (here / "_assets", here.parent / "assets"):
        if (folder / name).is_file():
            return folder / name
    raise ModelError(f"bundled file {name}: missing from this installation; reinstall {NAME}")


def bundled_model(name: str) -> Path:
    """Path of a bundled model by its name.

    Raises:
        ModelError: there is no file and no bundled model of this name; with the name that was meant.
    """
    if name in BUNDLED_MODELS:
        return asset(f"{name}.onnx")
    close = get_close_matches(name, BUNDLED_MODELS, 1)
    meant = f"did you mean {close[0]}? " if close else ""
    raise ModelError(
        f"model {name}: no such file, and no bundled model; {meant}bundled are {', '.join(BUNDLED_MODELS)}"
    )


def state_folder(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """The user's folder for what must outlive a run; it need not exist yet.

    It is that of the systemd unit (``StateDirectory=``), of ``XDG_STATE_HOME``, or the usual one of the platform:
    ``~/.local/state``, ``~/Library/Application Support`` or ``%LOCALAPPDATA%``.
    """
    if unit := environ.get("STATE_DIRECTORY"):
        return Path(unit.partition(":")[0])
    if platform == "win32":
        base = environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "stream-classify"


def install_command(extra: str) -> str:
    """The shell command that adds an optional part, such as "export", to this installation.

    It names the index, clone, file or repository that the package came from, and uses the installer that put it there,
    because ``pip install 'stream-classify[export]'`` would look for a clone's package on the index.
    """
    try:
        found = distribution(NAME)
    except PackageNotFoundError:  # a checkout that runs without having been installed
        return f"pip install -e {_folder(Path(__file__).resolve().parents[1], extra)}"
    return f"{_installer(found)} {_requirement(_origin(found), extra)}"


def _origin(found: Distribution) -> dict[str, Any]:
    """What direct_url.json says; nothing for what came from an index."""
    try:
        origin = json.loads(found.read_text("direct_url.json") or "{}")
    except ValueError:
        return {}
    return origin if isinstance(origin, dict) and isinstance(origin.get("url"), str) else {}


def _installer(found: Distribution) -> str:
    prefix = Path(sys.prefix)
    if (prefix / "uv-receipt.toml").is_file():
        return "uv tool install"
    if (prefix / "pipx_metadata.json").is_file():
        return "pipx install --force"
    return "uv pip install" if (found.read_text("INSTALLER") or "").strip() == "uv" else "pip install"


def _requirement(origin: dict[str, Any], extra: str) -> str:
    if not origin:
        return shlex.quote(f"{NAME}[{extra}]")
    url = origin["url"]
    if "dir_info" in origin:
        from urllib.parse import urlsplit
        from urllib.request import url2pathname  # which every other command would wait for

        folder = Path(url2pathname(urlsplit(url).path))
        editable = "-e " if origin["dir_info"].get("editable") else ""
        return editable + _folder(folder, extra)
    if repository := origin.get("vcs_info"):
        revision = repository.get("requested_revision") or repository.get("commit_id", "")
        url = f"{repository.get('vcs', 'git')}+{url}{'@' if revision else ''}{revision}"
    if part := origin.get("subdirectory"):
        url += f"#subdirectory={part}"
    return shlex.quote(f"{NAME}[{extra}] @ {url}")


def _folder(folder: Path, extra: str) -> str:
    here = Path(os.path.realpath(os.curdir)) == folder.resolve()
    return shlex.quote(f"{'.' if here else folder}[{extra}]")
