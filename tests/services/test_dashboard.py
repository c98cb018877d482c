"""The dashboard, served by a real command."""

import json
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

from support.commands import COMMAND, RUN


def find_addresses(port):
    """Return the addresses at which this machine listens on a port, as Linux writes them."""
    found = set()
    for table in map(Path, ("/proc/net/tcp", "/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            _, local, _, state = line.split()[:4]
            address, number = local.split(":")
            if state == "0A" and int(number, 16) == port:
                found.add(address)
    return found


def test_the_dashboard_serves_the_trials_on_this_machine_only(home, environment, call):
    call(*RUN, "--trials", 1, "--name", "five", "--workers", 1)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [COMMAND, "dashboard", "five", "--port", str(port)],
        cwd=home,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies") as answer:
                    studies = json.load(answer)
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.2)
        assert "se-search" in json.dumps(studies)
        assert find_addresses(port) <= {"0100007F"}  # 127.0.0.1, and nowhere else
        assert find_addresses(port) or not Path("/proc/net/tcp").exists()
    finally:
        process.terminate()
        process.wait()
