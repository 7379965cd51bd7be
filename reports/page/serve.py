"""Serve a report's folder on this machine alone; an open page loads itself again when report.html changes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from socket import socket
from threading import Thread
from typing import Any, BinaryIO

from study.spec import InputError

HOST, PAGE = "127.0.0.1", "report.html"
LOOK, ALIVE = 0.1, 15.0  # seconds between two looks at the file, and between two signs of life to a page
WAITING = "<!doctype html><title>Report</title><p>No run has been recorded yet. This page shows the first one."
# Added to the page as it is served, never to the file: it waits for another version, and keeps the reader's place.
RELOAD = """<script>
(() => {
  const place = Number(sessionStorage.getItem("place"));
  sessionStorage.removeItem("place");
  if (place) scrollTo(0, place);
  new EventSource("/events?%s").onmessage = () => {
    sessionStorage.setItem("place", scrollY);
    location.reload();
  };
})();
</script>
"""


@contextmanager
def serve(folder: Path, port: int = 0) -> Iterator[str]:
    """Serve the files of a folder while the context lasts.

    Args:
        folder: The report's; nothing outside it is served.
        port: Of the loopback interface; 0 takes a free one.

    Yields:
        The address of the page.

    Raises:
        InputError: The port is taken.
    """
    try:
        server = _Server((HOST, port), partial(_Handler, directory=str(folder.resolve())))
    except OSError as error:
        raise InputError(f"port {port} cannot be used ({error.strerror}); give another with --port") from None
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{HOST}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    """Threads end with the program: a page that listens would keep it alive."""

    daemon_threads = True

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Say nothing: a browser that closed its page is no error."""


class _Handler(SimpleHTTPRequestHandler):
    """The page with its script, its events, and the other files of the folder."""

    def do_GET(self) -> None:
        """Answer with the events or with a file."""
        if self.path.startswith("/events?"):
            self._send_events(self.path.partition("?")[2])
        else:
            super().do_GET()

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Send the headers of a file of the folder, and return its content; links do not lead out of it."""
        path = Path(self.translate_path(self.path)).resolve()
        folder = Path(self.directory).resolve()
        if path in (folder, folder / PAGE):
            return self._send_page()
        if not path.is_file() or not path.is_relative_to(folder):
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def end_headers(self) -> None:
        """Let no browser keep an older file."""
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the terminal is another program's."""

    def _send_page(self) -> BytesIO:
        version, path = self._version(), Path(self.directory) / PAGE
        text = path.read_text() if path.exists() else WAITING
        content = (text + RELOAD % version).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return BytesIO(content)

    def _send_events(self, shown: str) -> None:
        """Wait until the page is no longer the version that is shown, then say so."""
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        spoke = time.monotonic()
        while self._version() == shown:
            time.sleep(LOOK)
            if time.monotonic() > spoke + ALIVE:  # fails where the page was closed, which ends this thread
                self.wfile.write(b": waiting\n\n")
                spoke = time.monotonic()
        self.wfile.write(b"data: changed\n\n")

    def _version(self) -> str:
        """When the page was written; an empty text before it is."""
        path = Path(self.directory) / PAGE
        return str(path.stat().st_mtime_ns) if path.exists() else ""
