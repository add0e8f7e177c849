"""RTSP against as much of a camera as it takes."""

from __future__ import annotations

import socketserver
import struct
import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from stream.capture.live.supervisor import Patience
from stream.capture.network.network_source import NetworkSource
from stream.messages import Chunk

RATE = 16_000


class Camera(socketserver.StreamRequestHandler):
    """RTSP 1.0 over one TCP connection, 16-bit linear sound interleaved; sends a second of it and hangs up."""

    sound = (np.random.default_rng(4).integers(-8_000, 8_000, RATE) / 2**15).astype(np.float32)

    def handle(self) -> None:
        while True:
            first, headers = self.rfile.readline().decode().split(), {}
            while (line := self.rfile.readline().decode().strip()) != "":
                key, _, value = line.partition(":")
                headers[key.lower()] = value.strip()
            if not first:
                return
            extra, body = "", ""
            if first[0] == "OPTIONS":
                extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            elif first[0] == "DESCRIBE":
                body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n"
                body += "m=video 0 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n"
                body += f"a=control:v\r\nm=audio 0 RTP/AVP 96\r\na=rtpmap:96 L16/{RATE}/1\r\na=control:a\r\n"
                extra = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
            elif first[0] == "SETUP":
                self.server.seen.append((first[1], headers["transport"]))  # type: ignore[attr-defined]
                extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
            elif first[0] == "PLAY":
                extra = "Session: 1\r\n"
            self.wfile.write(
                f"RTSP/1.0 200 OK\r\nCSeq: {headers.get('cseq', '0')}\r\n{extra}\r\n{body}".encode()
            )
            if first[0] == "PLAY":
                data = np.round(self.sound * 2**15).astype(">i2")
                for number, at in enumerate(range(0, len(data), 160)):
                    packet = struct.pack(">BBHII", 0x80, 96, number, at, 7) + data[at : at + 160].tobytes()
                    self.wfile.write(b"$\0" + struct.pack(">H", len(packet)) + packet)
                return
            if first[0] == "TEARDOWN":
                return


def test_rtsp_over_tcp_takes_only_the_sound_and_is_reopened_forever() -> None:
    pytest.importorskip("av", reason="PyAV is not installed: pip install 'stream-classify[network]'")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Camera) as camera:
        camera.seen = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=camera.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        address = f"rtsp://user:pa#ss@127.0.0.1:{camera.server_address[1]}/live"
        source = NetworkSource(
            address, patience=Patience(first_retry=0.01, longest_retry=0.02), open_timeout=20, read_timeout=20
        )
        assert source.info().live
        chunks: list[Chunk] = []
        for chunk in source:
            chunks.append(chunk)
            if sum(len(c.samples) for c in chunks) >= 2 * RATE:
                source.close()
        camera.shutdown()
        thread.join(20)
    joined: NDArray[np.float32] = np.concatenate([c.samples for c in chunks])
    np.testing.assert_array_equal(joined[:RATE], Camera.sound)
    np.testing.assert_array_equal(joined[RATE : 2 * RATE], Camera.sound)
    assert any(c.state == "recovering" for c in chunks)
    assert source.sample_rate == RATE
    asked = camera.seen  # type: ignore[attr-defined]
    assert len(asked) >= 2
    assert all("/a" in url and "RTP/AVP/TCP" in transport for url, transport in asked)
