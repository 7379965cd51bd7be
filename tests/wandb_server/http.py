"""The socket: reads a request, meets a fault or answers."""

from __future__ import annotations

import gzip
import json
import sys
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.wandb_server import artifacts
from tests.wandb_server.cloud import Cloud, Json, Unknown
from tests.wandb_server.graphql import answer


@dataclass
class Faults:
    """What goes wrong: every `every`-th request is answered with one of `statuses`, dropped (0) or never answered (-1).

    Each answer, right or wrong, comes `delay` seconds late.
    """

    statuses: tuple[int, ...] = ()
    every: int = 0
    delay: float = 0.0


class Quiet(ThreadingHTTPServer):
    """Says nothing of a client that was killed."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Report what is our own fault."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Server:
    """W&B on 127.0.0.1, holding what it is given in memory."""

    def __init__(self, cloud: Cloud | None = None, port: int = 0) -> None:
        self.cloud = cloud or Cloud()
        self.faults = Faults()
        self.requests = 0
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.http = Quiet(("127.0.0.1", port), type("Handler", (Handler,), {"server_state": self}))
        self.cloud.address = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.http.server_address[1])

    @property
    def environment(self) -> dict[str, str]:
        """What points the real client here, with retries fast enough for tests."""
        waits = {
            f"WANDB__{kind}_RETRY_WAIT_{end}_SECONDS": seconds
            for kind in ("GRAPHQL", "FILE_STREAM", "FILE_TRANSFER")
            for end, seconds in (("MIN", "0.1"), ("MAX", "0.5"))
        }
        fast = {"WANDB__FILE_STREAM_TRANSMIT_INTERVAL": "0.5", "WANDB_ERROR_REPORTING": "false", "WANDB_MODE": "online"}
        return {"WANDB_BASE_URL": self.cloud.address, "WANDB_API_KEY": "a" * 40, **fast, **waits}

    def close(self) -> None:
        """Stop, as an outage does."""
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()

    def back(self) -> Server:
        """The server after an outage: the same address, and what it held."""
        return Server(self.cloud, self.port)

    def goes_wrong(self) -> int | None:
        """Which fault this request meets."""
        with self.lock:
            self.requests += 1
            number, is_right = divmod(self.requests, self.faults.every) if self.faults.every else (0, 1)
        return None if is_right else self.faults.statuses[number % len(self.faults.statuses)]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server_state: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each small answer waits for the client's acknowledgement

    def log_message(self, *_: object) -> None:
        """Stay quiet."""

    def _body(self) -> bytes:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        return gzip.decompress(raw) if self.headers.get("content-encoding") == "gzip" else raw

    def _handle(self) -> None:
        state, body = self.server_state, self._body()
        fault = state.goes_wrong()
        state.closing.wait(60 if fault == -1 else state.faults.delay)
        if state.closing.is_set() or (fault is not None and fault <= 0):
            self.close_connection = True
            self.connection.close()
            return
        if fault:
            return self._send(fault, b"{}")
        try:
            with state.lock:
                reply = self._answer(body)
        except (Unknown, KeyError) as wrong:  # a key that is not there is a run that was deleted
            status = wrong.status if isinstance(wrong, Unknown) else 404
            return self._send(status, json.dumps({"errors": [{"message": str(wrong)}]}).encode())
        self._send(200, reply if isinstance(reply, bytes) else json.dumps(reply).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, body: bytes) -> Json | bytes:
        cloud, parts = self.server_state.cloud, self.path.strip("/").split("/")
        if self.path == "/graphql":
            asked = json.loads(body)
            return {"data": answer(cloud, asked["query"], asked.get("variables") or {})}
        if parts[-1] == "file_stream":
            run = cloud.runs[parts[-2]]
            run.take(json.loads(body))
            return {"exitcode": None, "limits": {}, "stopped": run.should_stop}
        if parts[0] == "artifact" and self.command == "GET":
            return artifacts.give(cloud, parts[1], "/".join(parts[2:]))
        if parts[0] == "artifact":
            artifacts.take(cloud, parts[1], "/".join(parts[2:]), body)
        if parts[0] == "upload" and self.command == "GET":
            return cloud.runs[parts[1]].files["/".join(parts[2:])]
        if parts[0] == "upload":
            if parts[-1] in cloud.refused:
                raise Unknown(403, "permission denied")
            cloud.runs[parts[1]].files["/".join(parts[2:])] = body
        return {}

    do_GET = do_POST = do_PUT = _handle
