"""What ``stream-classify serve`` is asked for: its options over the table ``[server]`` of the settings file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from stream.errors import UsageError

if TYPE_CHECKING:
    from stream.server.access.access import Access
    from stream.server.limits import Limits
    from stream.settings.keys import Key

# Options that are no settings, or have another form there.
_NOT_KEYS = {"new-token", "ray-remove", "scopes", "verbose", "limit", "settings", "check", "help"}
LIMITS = "limits"  # a table of its own


def server_keys(ctx: click.Context) -> dict[str, Key]:
    """The keys of ``[server]``: the options of the command, and the table ``[server.limits]``."""
    from stream.cli.vocabulary import vocabulary_of
    from stream.settings.keys import Key

    keys = {name: key for name, key in vocabulary_of(ctx).keys.items() if name not in _NOT_KEYS}
    return {**keys, LIMITS: Key(LIMITS, _read_limits)}


def in_force(ctx: click.Context, file: Mapping[str, Any]) -> dict[str, Any]:
    """The value of each option: that of the command line, else that of the file, else the default.

    Args:
        ctx: of the command.
        file: what ``[server]`` says, by key.
    """
    from stream.cli.vocabulary import name_of

    found = dict(ctx.params)
    for option in ctx.command.params:
        name = name_of(option) if isinstance(option, click.Option) else ""
        # Readers of settings give values by keyword.
        for key in (name, name.replace("-", "_")):
            if key in file and ctx.get_parameter_source(str(option.name)) is not ParameterSource.COMMANDLINE:
                found[str(option.name)] = file[key]
    return found


def limits_in_force(options: Mapping[str, Any], file: Mapping[str, Any]) -> Limits:
    """Every bound.

    Raises:
        UsageError: no such limit, or a value that it cannot have.
    """
    from stream.server.limits import limits_of

    values: dict[str, Any] = dict(file.get(LIMITS, {}))
    if options["max_streams"] is not None:
        values["streams"] = options["max_streams"]
    for text in options["limits"]:
        name, sign, value = text.partition("=")
        if not sign:
            raise UsageError(f"--limit {text!r}: want NAME=VALUE, such as file_bytes=200MB")
        values[name.replace("-", "_")] = value
    return limits_of(values)


def changed_keys(ctx: click.Context, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Keys of ``[server]`` that now mean something else than when the command began, such as ``limits.streams``.

    A key that the command line overrides is none of them.

    Args:
        ctx: of the command.
        before: what ``[server]`` said then, by key.
        after: what it says now.

    Raises:
        UsageError: as `limits_in_force`.
    """
    from stream.cli.vocabulary import name_of

    old, new = in_force(ctx, before), in_force(ctx, after)
    found = [
        name_of(option)
        for option in ctx.command.params
        if isinstance(option, click.Option) and old.get(str(option.name)) != new.get(str(option.name))
    ]
    bounds = [
        limits_in_force({**options, "max_streams": None}, file)
        for options, file in ((old, before), (new, after))
    ]
    written = {name.replace("-", "_") for file in (before, after) for name in file.get(LIMITS, {})}
    return found + [
        f"{LIMITS}.{name}" for name in sorted(written) if len({getattr(each, name) for each in bounds}) > 1
    ]


def make_access(options: Mapping[str, Any], limits: Limits) -> Access:
    """Who may do what.

    Raises:
        UsageError: others than this machine would be served without tokens, or a value is not as it must be.
    """
    from stream.server.access.access import Access
    from stream.server.access.origins import is_loopback
    from stream.server.access.proxies import Proxies
    from stream.server.access.tokens import TokenFile

    host, path = options["host"], options["token_file"]
    if path is None and not is_loopback(host):
        raise UsageError(
            f"--host {host}: without a token file only this machine is served; make one: "
            "stream-classify serve --new-token NAME --token-file FILE"
        )
    proxies = Proxies(options["proxies"])
    if path is None and options["proxies"]:
        raise UsageError(
            "--trust-proxy: a proxy brings others than this machine; give --token-file FILE, made with "
            "stream-classify serve --new-token NAME --token-file FILE"
        )
    return Access(
        None if path is None else TokenFile(path),
        origins=options["origins"],
        proxies=proxies,
        loopback_only=is_loopback(host),
        limits=limits,
    )


def tls_files(options: Mapping[str, Any]) -> tuple[str, str] | None:
    """Certificate and key, checked; None where plain HTTP is served.

    Raises:
        UsageError: one without the other, or they cannot be used.
    """
    from stream.server.serving import check_tls

    certificate, key = options["tls_cert"], options["tls_key"]
    if (certificate is None) != (key is None):
        raise UsageError("--tls-cert and --tls-key: give both, or none")
    if certificate is None:
        return None
    check_tls(certificate, key)
    return certificate, key


def _read_limits(value: Any) -> dict[str, Any]:
    from stream.server.limits import limits_of

    if not isinstance(value, dict):
        raise ValueError(f"{value!r}: want a table, [server.limits]")
    limits_of(value)
    return value
