"""Downloads of data sets, by programs that run in processes of their own with a time limit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from se_search.errors import DataError, explain
from se_search.training.dataset_spec import DataSetSpec


def fetch_by_torchvision(spec: DataSetSpec, folder: Path) -> None:
    """Let torchvision download a data set into a folder.

    Raises:
        DataError: the server does not answer within 8 seconds, or the download fails.
    """
    what = f"torchvision's download of {spec.url}"
    # Name servers and sockets may hang for minutes, so a short look comes first.
    reach = (
        "import sys, urllib.request as r;"
        "r.urlopen(r.Request(sys.argv[1], method='HEAD'), timeout=5)"
    )
    _run(what, [sys.executable, "-c", reach, spec.url], timeout=8)
    download = (
        "import socket, sys; socket.setdefaulttimeout(20); from torchvision import datasets;"
        "getattr(datasets, sys.argv[1])(sys.argv[2], download=True)"
    )
    command = [sys.executable, "-c", download, spec.torchvision_name, str(folder)]
    _run(what, command, timeout=1800)


def fetch_debian_package(spec: DataSetSpec, folder: Path) -> None:
    """Download a data set's Debian package and unpack it into a folder; needs no root.

    Raises:
        DataError: apt-get or dpkg-deb is missing, fails, or takes too long.
    """
    what = f"apt-get download {spec.debian_package}"
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise DataError(f"{what}: there is no {program} here")
    bounds = ["-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=5"]
    apt = ["apt-get", "-q", *bounds, "download", spec.debian_package]
    with tempfile.TemporaryDirectory(dir=folder) as temp:
        _run(what, apt, timeout=300, folder=Path(temp))
        for package in Path(temp).glob("*.deb"):
            _run(what, ["dpkg-deb", "-x", str(package), temp], timeout=60)
        unpacked = Path(temp) / spec.known_folders[0].relative_to("/")
        for file in unpacked.glob("*"):
            os.replace(file, folder / file.name)


def _run(what: str, command: Sequence[str], timeout: float, folder: Path | None = None) -> None:
    """Run a program without showing its output.

    Raises:
        DataError: it fails or takes too long; the message ends with the last line it printed.
    """
    try:
        done = subprocess.run(
            command, cwd=folder, timeout=timeout, capture_output=True, text=True, errors="replace"
        )
    except subprocess.TimeoutExpired as cause:
        raise DataError(f"{what}: no answer within {timeout:g} s") from cause
    except OSError as cause:
        raise DataError(f"{what}: {explain(cause)}") from cause
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise DataError(f"{what}: {lines[-1]}")
