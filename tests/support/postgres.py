"""A PostgreSQL server of the tests' own, with a password, on a port of the loopback."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

USER = "searcher"
PASSWORD = "se cr@t:1"  # with what a URL must escape
QUOTED = "se%20cr%40t%3A1"


def find_programs():
    """Return the folder of PostgreSQL's programs; None: it is not installed."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name)
    found = shutil.which("initdb")
    folders = [*reversed(debian), *([Path(found).parent] if found else [])]
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


class Server:
    """A server that can be stopped and started again.

    Its data lie in a folder that everybody can reach, unlike those of pytest, for PostgreSQL
    refuses to run as root and may run as another user.
    """

    def __init__(self, programs, folder):
        self._programs, self._data = programs, folder / "data"
        self._log = folder / "server.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        # PostgreSQL refuses to run as root.
        self._as = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self._as:
            folder.chmod(0o777)
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._call(
            "initdb",
            *("-D", self._data, "-U", USER, "--auth=scram-sha-256", f"--pwfile={password}"),
            "--no-sync",
        )
        self.start()

    def url(self, password=f":{QUOTED}", database="postgres"):
        return f"postgresql://{USER}{password}@127.0.0.1:{self.port}/{database}"

    def start(self):
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k '' -c fsync=off"
        self._call("pg_ctl", "-D", self._data, "-l", self._log, "-o", options, "-w", "start")

    def stop(self):
        self._call("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")

    def _call(self, program, *arguments):
        command = [*self._as, str(self._programs / program), *map(str, arguments)]
        # Into a file, because a pipe would stay open in the server.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(command, stdout=output, stderr=output, cwd="/", timeout=120)
            output.seek(0)
            assert done.returncode == 0, (program, output.read())
