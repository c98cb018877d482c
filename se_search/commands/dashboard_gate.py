"""Stands before the dashboard: it lets reading requests through, and no others."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from se_search.commands.dashboard_board import Board

READING = ("GET", "HEAD")
STUDY_PATH = re.compile(r"/api/studies/\d+/?")
PAGE_PATH = re.compile(r"/dashboard(/.*)?")
# optuna-dashboard has no setting for the order of its charts, and shows a study's figures last.
# Without the last two rules a long command in the note makes the page wider than the window.
STYLE = b"""<style>
.MuiGrid-container:has(> * [id^="user-defined-plot:"]) { order: -1; margin-top: 0; }
.MuiGrid-container > :has([id^="user-defined-plot:"]) {
  order: -1; box-sizing: border-box; padding: 16px 0 0 16px;
}
main { min-width: 0; }
pre code { white-space: pre-wrap !important; overflow-wrap: anywhere; }
</style>"""


class Gate:
    """A WSGI application that hands reading requests to the newest board.

    What is behind it is a copy of the run, and the copy can't be changed either. On a loopback
    address only requests for names of this machine are answered: else a page of a foreign site,
    whose name is made to lead here, could read the run (DNS rebinding).

    Attributes:
        board: what is shown; None: nothing yet.
    """

    def __init__(self, host: str) -> None:
        """Begin without a board.

        Args:
            host: name or address that is listened at.
        """
        self.board: Board | None = None
        self._is_for_this_machine = is_loopback(host)

    def show(self, board: Board) -> None:
        """Answer all later requests from another board."""
        self.board = board

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        board = self.board  # one for the whole request: another thread may put another one here
        host = _strip_port(environ.get("HTTP_HOST", ""))
        if self._is_for_this_machine and not is_loopback(host):
            return _refuse(
                start_response, f"This dashboard answers at 127.0.0.1 and localhost, not at {host}."
            )
        if environ["REQUEST_METHOD"] not in READING:
            return _refuse(
                start_response, "This dashboard shows a copy of a run, and changes nothing."
            )
        if board is None:
            start_response("503 Service Unavailable", [("Retry-After", "1")])
            return [b""]
        path = environ.get("PATH_INFO", "")
        if path in ("", "/"):
            start_response("302 Found", [("Location", f"/dashboard/studies/{board.study_id}/note")])
            return [b""]
        if STUDY_PATH.fullmatch(path):
            return _change(board, _order_figures, environ, start_response)
        if PAGE_PATH.fullmatch(path):
            return _change(board, _add_style, environ, start_response)
        return board.app(environ, start_response)


def is_loopback(host: str) -> bool:
    """Tell whether a name or an address is one that no other machine reaches."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _change(
    board: Board,
    change: Callable[[Board, bytes], bytes],
    environ: WSGIEnvironment,
    start_response: StartResponse,
) -> Iterable[bytes]:
    """Answer with what the board answers, changed."""
    answer: dict[str, Any] = {}

    def note(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
        answer.update(status=status, headers=headers)

    chunks = board.app(environ, note)
    body = b"".join(chunks)
    if hasattr(chunks, "close"):  # a file, as PEP 3333 has it
        chunks.close()
    if answer["status"].startswith("200") and body:  # a HEAD request has none
        body = change(board, body)
    kept = [(name, value) for name, value in answer["headers"] if name != "Content-Length"]
    start_response(answer["status"], [*kept, ("Content-Length", str(len(body)))])
    return [body]


def _order_figures(board: Board, body: bytes) -> bytes:
    """Return a study with its figures in reading order; optuna-dashboard has that of a set."""
    study = json.loads(body)
    study["plotly_graph_objects"].sort(key=lambda each: board.figures.index(each["id"]))
    return json.dumps(study).encode()


def _add_style(_: Board, body: bytes) -> bytes:
    """Return a page on which the figures come first and the note fits the window."""
    return body.replace(b"</head>", STYLE + b"</head>", 1)


def _refuse(start_response: StartResponse, reason: str) -> Iterable[bytes]:
    body = json.dumps({"reason": reason}).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("403 Forbidden", headers)
    return [body]


def _strip_port(host: str) -> str:
    return re.sub(r":\d+$", "", host)
