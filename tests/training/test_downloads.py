"""Downloads end in time, and say in one line what failed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.data_sets import fashion_spec

from se_search.errors import DataError
from se_search.training.data_catalogue import DATA_SETS
from se_search.training.dataset_spec import Fetch
from se_search.training.downloads import fetch_by_torchvision, fetch_debian_package

DEBIAN_FOLDER = DATA_SETS["fashion_mnist"].known_folders[0]


@pytest.mark.parametrize("fetch", [fetch_by_torchvision, fetch_debian_package])
def test_a_fetch_whose_program_hangs_is_an_error_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fetch: Fetch
) -> None:
    def hang(command: list[str], timeout: float, **_: object) -> None:
        assert timeout <= (8 if sys.executable in command else 300)
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    with pytest.raises(DataError, match=r"no answer within \d+ s"):
        fetch(fashion_spec(known_folders=(DEBIAN_FOLDER,)), tmp_path)


def test_the_error_of_a_fetch_is_the_last_line_of_its_program(tmp_path: Path) -> None:
    spec = fashion_spec(url="unknown-scheme://host/file")
    with pytest.raises(DataError, match=r"torchvision's download .*unknown url type") as caught:
        fetch_by_torchvision(spec, tmp_path)
    assert "\n" not in str(caught.value)
