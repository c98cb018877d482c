"""Opens Optuna's dashboard on a run, for this machine only."""

from __future__ import annotations

import socket
from collections.abc import Callable

from se_search.errors import RunError, explain
from se_search.store.run_folder import RunFolder

HOST = "127.0.0.1"


def serve_dashboard(folder: RunFolder, port: int, announce: Callable[[str], None]) -> None:
    """Serve the dashboard until Ctrl-C.

    The dashboard has no passwords, and whoever reaches it can delete all trials. So it listens on
    127.0.0.1, which no other machine reaches.

    Args:
        folder: the run's folder.
        port: where the dashboard listens.
        announce: called with each line that tells the user how to open it.

    Raises:
        RunError: the run has no trials yet, or the port is taken.
    """
    if not folder.database.is_file():
        raise RunError(f"{folder.database} is not there: no trials have been stored")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as cause:
            raise RunError(
                f"port {port} of {HOST} is taken ({explain(cause)}); take another --port"
            ) from cause
    from optuna_dashboard import run_server

    from se_search.store.database import explaining_errors, open_for_writing

    announce(f"Optuna dashboard of {folder.path}: http://{HOST}:{port}/ (Ctrl-C ends it)")
    announce(f"From another machine: ssh -L {port}:{HOST}:{port} this-machine")
    with (
        explaining_errors(folder.database, "can't be opened for the dashboard"),
        open_for_writing(folder.database) as database,
    ):
        run_server(database.storage, host=HOST, port=port)
