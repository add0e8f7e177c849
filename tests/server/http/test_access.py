"""Who is let in: tokens, scopes, hosts, origins, proxies."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stream.errors import UsageError
from stream.server.access.access import Access
from stream.server.access.failures import MAX_ADDRESSES, Failures
from stream.server.access.origins import is_loopback, origin_is_ours, parse_origin, request_place
from stream.server.access.proxies import Proxies
from stream.server.access.tokens import TokenFile, add_token
from stream.server.http.app import OPERATIONS
from stream.server.limits import Limits
from tests.support.served import client_of, toy_app


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "tokens"
    return {name: add_token(path, name, [name]) for name in ("listen", "read", "admin")}  # type: ignore[list-item]


@pytest.fixture
def client(tokens: dict[str, str], tmp_path: Path) -> Iterator[httpx.Client]:
    access = Access(TokenFile(tmp_path / "tokens"), limits=Limits(failed_tokens=3))
    with client_of(toy_app(access=access)) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


def test_a_token_is_needed_and_its_kind_is_told(client: httpx.Client, tokens: dict[str, str]) -> None:
    assert client.get("/healthz").status_code == 200  # open to everybody
    answer = client.get("/v1/model")
    assert (answer.status_code, code(answer)) == (401, "no_token")
    assert answer.headers["www-authenticate"] == "Bearer"
    for token in tokens.values():
        assert client.get("/v1/model", headers=bearer(token)).status_code == 200
    for wrong in ("x", tokens["read"][:-1], tokens["read"] + "A", "Bearer"):
        assert client.get("/v1/model", headers=bearer(wrong)).status_code in (401, 429)


def test_every_operation_asks_for_its_scope(client: httpx.Client, tokens: dict[str, str]) -> None:
    for each in OPERATIONS:
        path = re.sub(r"\{\w+\}", "none", each.path)
        if each.scope is None:
            assert client.request(each.method, path).status_code == 200, path
            continue
        assert client.request(each.method, path).status_code == 401, path
        for name, token in tokens.items():
            answer = client.request(each.method, path, headers=bearer(token))
            granted = name in (each.scope, "admin") or each.scope == "any"
            assert (answer.status_code != 403) == granted, (path, name)
    assert {each.scope for each in OPERATIONS} == {None, "any", "listen", "read", "admin"}


def test_whoever_guesses_is_told_to_wait_and_the_right_token_still_works(
    client: httpx.Client, tokens: dict[str, str]
) -> None:
    answers = [client.get("/v1/model", headers=bearer("guess")) for _ in range(4)]
    assert [each.status_code for each in answers] == [401, 401, 401, 429]
    assert code(answers[-1]) == "too_many_failures"
    assert int(answers[-1].headers["retry-after"]) > 0
    assert client.get("/v1/model", headers=bearer(tokens["read"])).status_code == 200


def test_failures_are_forgotten_after_a_minute_and_kept_in_bounded_memory() -> None:
    now = 0.0
    failures = Failures(2, lambda: now)
    assert [failures.add("a") for _ in range(3)] == [0, 0, 60]
    now = 59.5
    assert failures.add("a") == 1
    now = 60.0
    assert failures.add("a") == 0
    for i in range(MAX_ADDRESSES + 10):
        failures.add(str(i))
    assert len(failures._found) == MAX_ADDRESSES


def test_the_file_holds_hashes_only_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "t"
    token = add_token(path, "kitchen", ["read", "listen"])
    text = path.read_text()
    assert token not in text
    assert text == f"kitchen listen,read sha256:{hashlib.sha256(token.encode()).hexdigest()}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    found = TokenFile(path).find(token)
    assert found is not None
    assert (found.name, found.may("read"), found.may("admin")) == ("kitchen", True, False)
    with pytest.raises(UsageError, match="stands in"):
        add_token(path, "kitchen", ["read"])
    with pytest.raises(UsageError, match="token name"):
        add_token(path, "a b", ["read"])


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("kitchen", "want NAME"),
        ("kitchen read", "want NAME"),
        ("kitchen all sha256:" + "0" * 64, "no scope 'all'"),
        ("kitchen read secret-token", "third word"),
        ("kitchen read sha256:" + "0" * 63, "third word"),
        ("a read sha256:" + "0" * 64 + "\na read sha256:" + "1" * 64, "twice"),
        ("\0" * 8, "want NAME"),
    ],
)
def test_a_line_that_is_wrong_is_named_and_never_shown(tmp_path: Path, line: str, wrong: str) -> None:
    path = tmp_path / "t"
    path.write_text(f"# mine\n\n{line}\n")
    with pytest.raises(UsageError, match=wrong) as caught:
        TokenFile(path)
    assert "secret-token" not in str(caught.value)


def test_a_file_that_anybody_may_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t"
    add_token(path, "a", ["read"])
    path.chmod(0o666)
    with pytest.raises(UsageError, match="chmod 600"):
        TokenFile(path)
    with pytest.raises(UsageError, match="cannot be read"):
        TokenFile(tmp_path / "none")


def test_a_reload_takes_new_tokens_and_keeps_the_old_ones_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "t"
    first = add_token(path, "first", ["read"])
    access = Access(TokenFile(path))
    second = add_token(path, "second", ["read"])
    assert access.tokens is not None
    assert access.tokens.find(second) is None
    access.reload()
    assert access.tokens.find(second) is not None
    path.write_text("broken\n")
    with pytest.raises(UsageError):
        access.reload()
    assert access.tokens.find(first) is not None


def test_another_host_name_is_refused_on_loopback() -> None:
    """So that a page whose own name points at 127.0.0.1 learns nothing."""
    with client_of(toy_app(access=Access(loopback_only=True))) as client:
        for host in (
            "evil.example",
            "evil.example:8765",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "a@127.0.0.1",
            "",
        ):
            answer = client.get("/v1/model", headers={"Host": host})
            assert (answer.status_code, code(answer)) == (421, "wrong_host"), host
        for host in ("localhost:1234", "127.0.0.1", "127.1.2.3", "[::1]:8765", "LOCALHOST", "localhost."):
            assert client.get("/v1/model", headers={"Host": host}).status_code == 200, host


def test_a_station_for_its_own_machine_answers_no_proxy() -> None:
    """A proxy on the same machine would bring everybody in as if they were here."""
    with client_of(toy_app(access=Access(loopback_only=True))) as client:
        for name in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"):
            answer = client.get("/v1/model", headers={name: "6.6.6.6"})
            assert (answer.status_code, code(answer)) == (403, "behind_a_proxy")
        assert client.get("/v1/model").status_code == 200


def test_origins() -> None:
    own = request_place("http", "house:8765")
    allowed = [parse_origin("https://app.example.org")]
    for origin in (
        "http://house:8765",
        "HTTP://HOUSE:8765",
        "https://app.example.org",
        "https://app.example.org:443",
    ):
        assert origin_is_ours(origin, own, allowed), origin
    for origin in (
        "null",
        "",
        "https://house:8765",
        "http://house",
        "http://house:87650",
        "http://app.example.org",
        "https://app.example.org.evil",
        "https://evil@app.example.org",
        "file://",
        "http://[",
    ):
        assert not origin_is_ours(origin, own, allowed), origin
    assert request_place("ws", "house") == ("http", "house", 80)
    assert not origin_is_ours("http://house", None, [])
    for text in ("house", "https://house/path", "ftp://house", "https://u@house", "https://"):
        with pytest.raises(UsageError, match="origin"):
            parse_origin(text)
    assert [
        is_loopback(host) for host in ("::1", "127.9.9.9", "localhost", "0.0.0.0", "::", "10.0.0.1", "x")
    ] == ([True] * 3 + [False] * 4)


def forwarded(address: str, **headers: str) -> dict[str, Any]:
    scope: dict[str, Any] = {
        "type": "http",
        "scheme": "http",
        "client": (address, 1),
        "headers": [(b"host", b"inner")],
    }
    scope["headers"] += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    Proxies(["10.0.0.0/8", "::1"]).believe(scope)
    return scope


def test_forwarded_headers_are_believed_of_named_proxies_only() -> None:
    told = {
        "x_forwarded_for": "6.6.6.6, 1.2.3.4, 10.0.0.9",
        "x_forwarded_proto": "https",
        "x_forwarded_host": "outer",
    }
    scope = forwarded("10.0.0.1", **told)
    assert (scope["client"][0], scope["scheme"]) == ("1.2.3.4", "https")
    assert [value for name, value in scope["headers"] if name == b"host"] == [b"outer"]
    scope = forwarded("11.0.0.1", **told)
    assert (scope["client"][0], scope["scheme"], scope["headers"][0]) == (
        "11.0.0.1",
        "http",
        (b"host", b"inner"),
    )
    assert forwarded("::ffff:10.0.0.1", **told)["client"][0] == "1.2.3.4"
    assert forwarded("10.0.0.1", x_forwarded_for="rubbish")["client"][0] == "rubbish"
    assert forwarded("10.0.0.1", x_forwarded_proto="gopher")["scheme"] == "http"
    with pytest.raises(UsageError, match="proxy"):
        Proxies(["all"])


def test_pages_of_allowed_origins_may_read_answers_and_no_others() -> None:
    access = Access(origins=["https://app.example.org"])
    with client_of(toy_app(access=access)) as client:
        answer = client.get("/v1/model", headers={"Origin": "https://app.example.org"})
        assert answer.headers["access-control-allow-origin"] == "https://app.example.org"
        answer = client.get("/v1/model", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "t"
    add_token(path, "a", ["read"])
    path.chmod(0)
    with pytest.raises(UsageError, match="cannot be read"):
        TokenFile(path)
