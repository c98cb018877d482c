"""Opens Optuna's dashboard on a copy of a run, for this machine unless another host is named."""

from __future__ import annotations

import errno
import socket
import threading
import warnings
from collections.abc import Callable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from se_search.commands.dashboard_board import Boards
from se_search.commands.dashboard_gate import Gate, is_loopback
from se_search.errors import RunError, explain
from se_search.interrupt import Interrupted
from se_search.store.run_folder import RunFolder

LOOK_SECONDS = 1.0  # between two looks at whether the run has changed
PORTS_TRIED = 100  # when another one is named for one that is taken


def serve_dashboard(
    folder: RunFolder,
    host: str,
    port: int,
    announce: Callable[[str], None],
    complain: Callable[[str], None],
) -> None:
    """Serve the dashboard until Ctrl-C, and renew it while the run goes on.

    The dashboard has no passwords. It shows a copy of the trials in memory, and refuses requests
    that would change even that, so that nobody can do anything to the run.

    Args:
        folder: the run's folder; nothing is written into it.
        host: name or address that the dashboard listens at.
        port: where it listens.
        announce: called with each line that tells the user how to open it.
        complain: called with a sentence when the run can't be read any more.

    Raises:
        RunError: the run has no trials yet, the port is taken, or the host is none of this machine.
    """
    # Optuna's own charts warn of few trials, in a terminal that nobody looks at.
    warnings.filterwarnings("ignore", category=UserWarning, module="optuna")
    gate = Gate(host)
    boards = Boards(folder, gate.show, complain)
    boards.copy_trials()
    with open_server(host, port) as server:
        server.set_app(gate)
        renewal = Renewal(boards, server)
        try:
            for line in describe_address(folder, host, port):
                announce(line)
            renewal.start()
            server.serve_forever()
        except Interrupted:
            pass
        finally:
            renewal.stop()
    if renewal.mistake is not None:
        raise renewal.mistake


class Renewal(threading.Thread):
    """Looks at a run again and again; a mistake of ours ends the server, and is kept.

    Attributes:
        mistake: what ended the looking; None: it goes on, or was stopped.
    """

    def __init__(self, boards: Boards, server: WSGIServer) -> None:
        # Ctrl-C does not wait for the accuracy model: the thread writes no files.
        super().__init__(name="dashboard", daemon=True)
        self.mistake: Exception | None = None
        self._boards = boards
        self._server = server
        self._stopped = threading.Event()

    def run(self) -> None:
        """Look until the thread is stopped."""
        try:
            while not self._stopped.is_set():
                self._boards.look()
                self._stopped.wait(LOOK_SECONDS)
        except Exception as cause:  # no error of the run's: those are told and looked over
            self.mistake = cause
            self._server.shutdown()

    def stop(self) -> None:
        """Have the thread read no more, and end after the look that is under way."""
        self._stopped.set()
        self._boards.close()


def open_server(host: str, port: int) -> WSGIServer:
    """Return a server that listens; close it, or enter it in a ``with``.

    Raises:
        RunError: the port is taken, or the host is none of this machine.
    """
    kind = _Server6 if ":" in host else _Server
    try:
        return kind((host, port), _Handler)
    except OSError as cause:
        reason = explain(cause)
        if cause.errno != errno.EADDRINUSE:
            raise RunError(f"can't listen at port {port} of {host}: {reason}") from cause
        free = _find_free(kind, host, port + 1)
        other = f"--port {free}, which is free" if free else "another --port"
        raise RunError(f"port {port} of {host} is taken ({reason}); take {other}") from cause


def describe_address(folder: RunFolder, host: str, port: int) -> list[str]:
    """Return the lines that say where the dashboard is, and who reaches it."""
    shown = f"[{host}]" if ":" in host else host
    lines = [
        f"Dashboard of {folder.path}: http://{shown}:{port}/ (Ctrl-C ends it)",
        "It shows a copy: nothing that is done in the browser changes the run.",
    ]
    if is_loopback(host):
        return [*lines, f"From another machine: ssh -L {port}:{shown}:{port} this-machine"]
    return [
        *lines,
        f"There is no authentication: whoever reaches port {port} of {host} can read the run.",
    ]


class _Server(ThreadingMixIn, WSGIServer):
    """A request does not wait for others: browsers keep connections open that ask nothing."""

    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Print nothing: errors come from elsewhere, and requests are no news."""

    def address_string(self) -> str:
        """Return the client's address; its name would have to be looked up."""
        return str(self.client_address[0])


def _find_free(kind: type[WSGIServer], host: str, first: int) -> int | None:
    for port in range(first, min(first + PORTS_TRIED, 65536)):
        try:
            kind((host, port), _Handler).server_close()
        except OSError:
            continue
        return port
    return None
