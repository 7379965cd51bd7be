"""A loopback W&B server: the part of W&B's HTTP API that the real client needs to log a run, with faults on demand.

The real client is the judge; nothing of it is patched.
"""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
ENTITY = "loopback"


@dataclass
class Run:
    """One run as the server holds it."""

    id: str
    project: str
    fields: Json = field(default_factory=dict)
    history: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    summary: str = "{}"
    exit_code: int | None = None
    preempting: bool = False
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def rows(self) -> list[Json]:
        """The logged rows."""
        return [json.loads(line) for line in self.history]

    @property
    def config(self) -> Json:
        """The configuration, without W&B's own keys."""
        return {k: v["value"] for k, v in json.loads(self.fields.get("config") or "{}").items() if k != "_wandb"}


@dataclass
class Faults:
    """What goes wrong: every `every`-th request is answered with `status`, dropped (0) or never answered (-1)."""

    status: int = 500
    every: int = 0
    only: Callable[[str], bool] = lambda path: True


class Server:
    """W&B on 127.0.0.1, holding runs in memory."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.faults = Faults()
        self.requests = 0
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"server_state": self}))
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        """What points the real client here, with retries fast enough for tests."""
        url = f"http://127.0.0.1:{self.http.server_address[1]}"
        waits = {
            f"WANDB__{kind}_RETRY_WAIT_{end}_SECONDS": seconds
            for kind in ("GRAPHQL", "FILE_STREAM", "FILE_TRANSFER")
            for end, seconds in (("MIN", "0.1"), ("MAX", "0.5"))
        }
        fast = {"WANDB__FILE_STREAM_TRANSMIT_INTERVAL": "0.5", "WANDB_ERROR_REPORTING": "false", "WANDB_MODE": "online"}
        return {"WANDB_BASE_URL": url, "WANDB_API_KEY": "a" * 40, **fast, **waits}

    def close(self) -> None:
        """Stop, as an outage does."""
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()

    def goes_wrong(self, path: str) -> int | None:
        """Which fault this request meets."""
        with self.lock:
            self.requests += 1
            wrong = self.faults.every and self.requests % self.faults.every == 0 and self.faults.only(path)
        return self.faults.status if wrong else None

    # GraphQL

    def answer(self, query: str, variables: Json) -> Json:
        """The data of one query."""
        if "upsertBucket" in query:
            return self._upsert(variables)
        if "RunResumeStatus" in query:
            return {
                "model": {
                    "id": "p",
                    "name": variables["project"],
                    "entity": _entity(),
                    "bucket": self._resume(variables),
                }
            }
        if "createRunFiles" in query:
            uploads = [{"name": n, "uploadUrl": f"/upload/{variables['run']}/{n}"} for n in variables["files"]]
            return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": uploads}}
        viewer = {"id": "u", "entity": ENTITY, "username": ENTITY, "email": "", "flags": "{}", "teams": {"edges": []}}
        return {"viewer": viewer, "entity": None, "serverInfo": None}

    def _upsert(self, given: Json) -> Json:
        known = given.get("name") in self.runs
        run = self.runs.setdefault(given["name"], Run(given["name"], given.get("project") or ""))
        run.fields |= {key: value for key, value in given.items() if value is not None}
        project = {"id": "p", "name": run.project, "entity": _entity()}
        bucket = {"id": run.id, "name": run.id, "displayName": run.fields.get("displayName"), "description": "",
                  "config": run.fields.get("config"), "sweepName": None, "project": project,
                  "historyLineCount": len(run.history)}  # fmt: skip
        return {"upsertBucket": {"bucket": bucket, "inserted": not known}}

    def _resume(self, given: Json) -> Json | None:
        run = self.runs.get(given["name"])
        if run is None:
            return None
        counts = {"historyLineCount": len(run.history), "eventsLineCount": len(run.events), "logLineCount": 0}
        tails = {"historyTail": json.dumps(run.history[-1:]), "eventsTail": json.dumps(run.events[-1:])}
        own = json.loads(run.fields.get("config") or "{}").get("_wandb", {}).get("value", {})
        kept = {name: run.fields.get(name) for name in ("displayName", "config", "tags")}
        about = {"id": run.id, "name": run.id, "notes": None, "summaryMetrics": run.summary}
        return {**about, **kept, **counts, **tails, "wandbConfig": json.dumps({"t": own.get("t", {})})}

    def stream(self, run: Run, body: Json) -> Json:
        """Take what the file stream brings: lines at an offset, so that what is sent twice is held once."""
        for name, target in (("wandb-history.jsonl", run.history), ("wandb-events.jsonl", run.events)):
            if part := body.get("files", {}).get(name):
                target[part["offset"] :] = part["content"]
        if part := body.get("files", {}).get("wandb-summary.json"):
            run.summary = part["content"][-1]
        run.preempting |= bool(body.get("preempting"))
        if body.get("complete"):
            run.exit_code = body.get("exitcode")
        return {"exitcode": None, "limits": {}, "stopped": False}


def _entity() -> Json:
    return {"id": ENTITY, "name": ENTITY}


class Handler(BaseHTTPRequestHandler):
    """Reads a request, meets a fault or answers."""

    server_state: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Stay quiet."""

    def _body(self) -> bytes:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        return gzip.decompress(raw) if self.headers.get("content-encoding") == "gzip" else raw

    def _handle(self) -> None:
        state, body = self.server_state, self._body()
        fault = state.goes_wrong(self.path)
        if fault == -1:
            state.closing.wait(60)
        if state.closing.is_set() or (fault is not None and fault <= 0):
            self.close_connection = True
            self.connection.close()
            return
        with state.lock:
            answer = {} if fault else self._answer(body)
        raw = json.dumps(answer).encode()
        self.send_response(fault or 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _answer(self, body: bytes) -> Json:
        state = self.server_state
        if self.path == "/graphql":
            asked = json.loads(body)
            return {"data": state.answer(asked["query"], asked.get("variables") or {})}
        parts = self.path.strip("/").split("/")
        if parts[-1] == "file_stream":
            return state.stream(state.runs[parts[-2]], json.loads(body))
        if parts[0] == "upload":
            state.runs[parts[1]].files["/".join(parts[2:])] = body
        return {}

    do_GET = do_POST = do_PUT = _handle


if __name__ == "__main__":
    server = Server()
    print(server.environment["WANDB_BASE_URL"], flush=True)
    while True:
        time.sleep(1)
