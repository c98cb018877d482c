"""Who works on a run: told without touching its lock."""

import os
import socket
import subprocess
import sys

import pytest

from se_search.store.holder import find_holder, read_holder
from se_search.store.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def test_a_run_that_is_locked_names_its_process_and_host(folder):
    with folder.lock():
        holder = find_holder(folder.lock_file)
        assert (holder.process, holder.host) == (os.getpid(), socket.gethostname())
        assert holder.is_sure
        assert str(holder) == f"process {os.getpid()} on {socket.gethostname()}"


def test_a_run_whose_command_has_ended_has_no_holder(folder):
    with folder.lock():
        pass
    assert read_holder(folder.lock_file) is None
    assert find_holder(folder.lock_file) is None


def test_a_run_that_nobody_ever_took_has_no_holder(folder):
    assert find_holder(folder.lock_file) is None


def test_a_process_that_was_killed_is_no_holder(folder):
    code = (
        "import os, pathlib, signal, sys\n"
        "from se_search.store.run_folder import RunFolder\n"
        "with RunFolder(pathlib.Path(sys.argv[1])).lock():\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(folder.path)], check=False)
    assert read_holder(folder.lock_file) is not None
    assert find_holder(folder.lock_file) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux lists locks")
def test_a_process_that_got_a_dead_ones_number_is_no_holder(folder):
    folder.path.mkdir()
    folder.lock_file.write_text(f"{os.getpid()} {socket.gethostname()}\n")
    assert find_holder(folder.lock_file) is None


def test_where_the_system_lists_no_locks_the_process_decides(folder):
    folder.path.mkdir()
    folder.lock_file.write_text(f"{os.getpid()} {socket.gethostname()}\n")
    assert find_holder(folder.lock_file, locks=None).is_sure


def test_a_process_of_another_machine_is_named_and_not_sure(folder):
    with folder.lock():
        holder = find_holder(folder.lock_file, host="elsewhere")
    assert holder.process == os.getpid()
    assert not holder.is_sure


def test_looking_at_a_lock_keeps_nobody_from_taking_it(folder):
    with folder.lock():
        pass
    find_holder(folder.lock_file)
    with folder.lock():
        pass
