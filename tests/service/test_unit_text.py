"""Unit files hold what was meant: systemd's own reader finds programs of any name, and nothing to complain of."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from stream.errors import UsageError
from stream.installation import asset
from stream.service.systemd import check_unit
from stream.service.unit_text import Kind, Scope, Unit, command_line, folder_line, quoted
from tests.support.guides import check_arguments, own_arguments

needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze: apt-get install systemd"
)
STATIONS = "stream-classify-station.service"
ASSETS: list[tuple[str, Kind]] = [("stream-classify.service", "listen"), (STATIONS, "serve")]
every_kind = pytest.mark.parametrize("kind", ["listen", "serve"])
every_scope = pytest.mark.parametrize("scope", ["user", "system"])


@pytest.mark.parametrize(("name", "kind"), ASSETS)
def test_the_files_in_assets_are_what_the_command_writes(name: str, kind: Kind) -> None:
    text = asset(name).read_text(encoding="utf-8")
    head, _, body = text.partition("[Unit]")
    assert all(line.startswith("#") for line in head.splitlines())
    (command,) = re.findall(r"^ExecStart=(.*)$", body, flags=re.M)
    assert "[Unit]" + body == str(Unit(command, kind, "user"))


def test_the_station_in_assets_has_options_that_exist() -> None:
    (line,) = re.findall(r"^ExecStart=(.*)$", asset(STATIONS).read_text(encoding="utf-8"), flags=re.M)
    arguments = own_arguments(line.split())
    assert arguments is not None
    check_arguments(arguments)


@needs_analyze
@every_kind
@every_scope
def test_systemd_takes_it(kind: Kind, scope: Scope) -> None:
    unit = Unit(command_line(["/bin/true", "a b"]), kind, scope, folder_line("/tmp"), (("A", 'x "y"'),))
    assert check_unit("stream-classify.service", str(unit), scope)


@needs_analyze
@pytest.mark.parametrize(
    "name",
    ["plain", "a b", "50%", "%h", "caf\u00e9", "$HOME", "${HOME}", "semi;colon", "#hash", "'apostrophe"],
)
def test_systemd_finds_a_program_and_a_folder_of_any_name(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "run it").symlink_to("/bin/true")
    text = str(Unit(command_line([str(folder / "run it"), "$x"]), folder=folder_line(str(folder))))
    if "'" in name:  # which systemd takes in no program's name
        with pytest.raises(UsageError, match=r"systemd does not take this unit: .*special characters"):
            check_unit("a.service", text, "user")
        return
    assert check_unit("a.service", text, "user")
    (folder / "run it").unlink()
    with pytest.raises(UsageError, match="is not executable"):
        check_unit("a.service", text, "user")


@needs_analyze
def test_what_systemd_complains_of_is_refused_with_its_words() -> None:
    text = str(Unit("/bin/true")).replace("Restart=always", "Restart=maybe")
    with pytest.raises(UsageError, match=r"systemd does not take this unit: .*maybe"):
        check_unit("a.service", text, "user")


def unquoted(text: str) -> list[str]:
    """A second reader of what systemd.service(5) says of command lines."""
    plain = {"\\\\": "\\", '\\"': '"', "\\n": "\n", "\\t": "\t", "\\r": "\r"}
    words = []
    for inside, bare in re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', text):
        word = bare or re.sub(r"\\.", lambda found: plain[found[0]], inside)
        words.append(word.replace("%%", "%"))
    return words


def test_words_come_back_as_they_went_in() -> None:
    words = [
        "/bin/x",
        "",
        "a b",
        'say "hi"',
        "back\\slash",
        "end\\",
        "50%%",
        "line\nbreak\ttab",
        "ä€𝄞",
        ";",
        "$A",
    ]
    line = command_line(words)
    assert "\n" not in line
    assert line.startswith(":/bin/x ")  # no variables
    assert unquoted(line[1:]) == words
    assert command_line(["/bin/x", "--a", "b=c,d:e"]) == "/bin/x --a b=c,d:e"


@pytest.mark.parametrize("word", ["\x00", "a\x1b[2J", "caf\udce9"])
def test_what_a_unit_file_cannot_hold_is_refused(word: str) -> None:
    with pytest.raises(UsageError):
        quoted(word)
    with pytest.raises(UsageError):
        folder_line(f"/{word}")


@pytest.mark.parametrize("folder", ["/a ", "/a\\", "/a\nb"])
def test_folders_that_systemd_would_read_as_others_are_refused(folder: str) -> None:
    with pytest.raises(UsageError, match="cannot name this folder"):
        folder_line(folder)


def test_a_users_unit_asks_nothing_of_the_system() -> None:
    for kind in ("listen", "serve"):
        text = str(Unit("/bin/true", kind))  # type: ignore[arg-type]
        for system_only in ("DynamicUser", "User=", "SupplementaryGroups", "Protect", "network-online"):
            assert system_only not in text
        assert "WantedBy=default.target" in text
        assert "Environment=ORT_DISABLE_TELEMETRY=1" in text


@needs_analyze
def test_a_systems_unit_is_locked_in(tmp_path: Path) -> None:
    """By systemd's own scale, from 0 to 10: under 3, where 9.6 is a service without any of it."""
    (tmp_path / "a.service").write_text(str(Unit("/bin/true", "serve", "system")))
    done = subprocess.run(
        [
            "systemd-analyze",
            "security",
            "--offline=true",
            "--no-pager",
            "--threshold=30",
            str(tmp_path / "a.service"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if "nknown" in done.stderr or "unrecognized" in done.stderr:
        pytest.skip("this systemd cannot judge files")
    assert done.returncode == 0, done.stdout[-300:]
