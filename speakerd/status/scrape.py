"""A scrape: one HTTP request on a connection that the service manager has accepted, answered with the metrics."""

from pathlib import Path
from typing import BinaryIO

from speakerd.errors import SpeakerdError
from speakerd.host.control import ask_for_status
from speakerd.status.metrics import CONTENT_TYPE, metrics
from speakerd.status.status import Status

LONGEST_LINE = 8192
"""Bytes in a line of a request; Prometheus sends less than a tenth of that."""

MOST_LINES = 100


def answer(request: BinaryIO, reply: BinaryIO, runtime: Path) -> int:
    """Read the request, whatever it asks for, and reply; return the exit status.

    It is read first, since to hang up before that can throw away what was replied.
    """
    for _ in range(MOST_LINES):
        if request.readline(LONGEST_LINE).strip() == b"":
            break
    try:
        status, kind, body = "200 OK", CONTENT_TYPE, metrics(Status.of(ask_for_status(runtime)))
    except SpeakerdError as error:
        status, kind, body = "503 Service Unavailable", "text/plain; charset=utf-8", f"{error}\n"
    content = body.encode()
    head = (f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(content)}", "Connection: close")
    reply.write("".join(f"{line}\r\n" for line in (*head, "")).encode() + content)
    reply.flush()
    return 0 if status.startswith("200") else 1
