"""One POST: it ends whatever the server does, goes nowhere else, and its address is never shown with its secrets."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest

from stream.errors import UsageError
from stream.outputs.post import Answer, Poster
from stream.outputs.signing import read_secret, signed_headers
from stream.outputs.web_address import check_url, shown_url
from tests.support.receiver import Receiver


@pytest.fixture
def receiver() -> Any:
    with Receiver() as made:
        yield made


def test_body_headers_and_password_arrive(receiver: Receiver) -> None:
    answer = Poster(receiver.url("/a/b?c=d", user="ann:p%40ss")).post(b'{"a":1}', {"webhook-id": "x"})
    assert answer.status == 200
    (got,) = receiver.got
    assert (got.path, got.body, got.id) == ("/a/b?c=d", b'{"a":1}', "x")
    assert got.headers["content-type"] == "application/json"
    assert got.headers["authorization"] == "Basic " + base64.b64encode(b"ann:p@ss").decode()


@pytest.mark.parametrize("how", ["hang", "drip"])
def test_a_server_that_does_not_come_to_an_end_is_left(receiver: Receiver, how: str) -> None:
    receiver.answer = how
    with pytest.raises(OSError, match=r"no answer within 0\.2 s"):
        Poster(receiver.url(), timeout=0.2).post(b"{}", {})


def test_a_connection_that_breaks_is_no_answer_and_a_short_body_is_one(receiver: Receiver) -> None:
    receiver.script.extend(["cut", "short"])
    with pytest.raises(OSError, match="connection broke"):
        Poster(receiver.url()).post(b"{}", {})
    assert Poster(receiver.url()).post(b"{}", {}).status == 200


def test_nobody_there() -> None:
    with Receiver() as receiver:
        url = receiver.url(user="ann:secret")
    with pytest.raises(OSError, match="refused") as caught:
        Poster(url).post(b"{}", {})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_within_a_server_are_followed_as_a_post(receiver: Receiver, status: int) -> None:
    receiver.script.append((status, {"Location": "/hook/"}))
    assert Poster(receiver.url(user="ann:b")).post(b"{}", {"webhook-id": "x"}).status == 200
    assert [(got.path, got.body, got.id) for got in receiver.got] == [
        ("/hook", b"{}", "x"),
        ("/hook/", b"{}", "x"),
    ]


def test_redirects_elsewhere_and_without_end_are_not(receiver: Receiver) -> None:
    with Receiver() as other:
        receiver.script.append((307, {"Location": other.url()}))
        answer = Poster(receiver.url()).post(b"{}", {})
        assert (answer.status, other.got) == (307, [])
        assert "another server" in answer.reason
    for place in ("file:///etc/passwd", "//127.0.0.1:1/", "http://[bad", "http://127.0.0.1:x/"):
        receiver.got.clear()
        receiver.script.append((302, {"Location": place}))
        assert Poster(receiver.url()).post(b"{}", {}).status == 302
        assert len(receiver.got) == 1
    receiver.answer = (302, {"Location": "/"})
    assert "without end" in Poster(receiver.url()).post(b"{}", {}).reason


def test_how_long_a_server_asks_to_be_left_alone() -> None:
    assert Answer(429, "", "7").pause_seconds(0.0) == 7.0
    assert Answer(503, "", "Thu, 01 Jan 1970 00:01:40 GMT").pause_seconds(40.0) == 60.0
    assert Answer(503, "", "Thu, 01 Jan 1970 00:01:40 GMT").pause_seconds(400.0) == 0.0
    for nonsense in ("", "soon", "-3", "١", "1e9"):
        assert Answer(503, "", nonsense).pause_seconds(0.0) == 0.0


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.example.org/services/T0/SECRET", "https://hooks.example.org/***"),
        ("https://ann:SECRET@example.org:8443", "https://example.org:8443"),
        ("https://SECRET@example.org/?token=SECRET", "https://example.org/***"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("https://ann:SEC/RET@example.org/", "https://***"),
    ],
)
def test_addresses_are_shown_without_their_secrets(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("example.org/hook", "is no http or https address"),
        ("ftp://ann:SECRET@example.org/", "is no http or https address"),
        ("https:///hook", "names no server"),
        ("https://example.org/a b", "spaces or control"),
        ("https://ann:SEC/RET@example.org/", "%2F"),
        ("https://example.org:99999/", "cannot be understood"),
        ("https://[::1/", "cannot be understood"),
        ("http://" + "a" * 70 + "/", "cannot be understood"),
        ("https://example.org:0/", "port 0"),
    ],
)
def test_addresses_that_cannot_be_used_are_refused(url: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        check_url("--webhook", url)
    assert "SECRET" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_and_paths_in_any_script_are_sent_encoded(receiver: Receiver) -> None:
    assert check_url("--webhook", "https://bücher.example/straße?a=ü")
    Poster(receiver.url("/straße?a=ü")).post(b"{}", {})
    assert receiver.got[0].path == "/stra%C3%9Fe?a=%C3%BC"


def test_the_signature_is_the_one_of_the_standard(tmp_path: Path) -> None:
    # The example of the Standard Webhooks libraries.
    file = tmp_path / "secret"
    file.write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330.9, b'{"test": 2432232314}', read_secret(str(file))
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_signature_is_what_openssl_computes(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("no base64, but a sentence\n")
    headers = signed_headers("id", 5.0, '{"label":"Bär"}'.encode(), read_secret(str(file)))
    digest = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", "no base64, but a sentence", "-binary"],
        input='id.5.{"label":"Bär"}'.encode(),
        capture_output=True,
        check=True,
        timeout=10,
    ).stdout
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


@pytest.mark.parametrize(
    ("content", "why"),
    [("", "empty"), (" \n", "empty"), ("whsec_!", "base64"), ("whsec_", "base64"), ("x" * 5000, "more")],
)
def test_files_without_a_secret_are_refused(tmp_path: Path, content: str, why: str) -> None:
    file = tmp_path / "secret"
    file.write_text(content)
    with pytest.raises(UsageError, match=why):
        read_secret(str(file))
    with pytest.raises(UsageError, match="No such file"):
        read_secret(str(tmp_path / "none"))
    with pytest.raises(UsageError, match="directory"):
        read_secret(str(tmp_path))
