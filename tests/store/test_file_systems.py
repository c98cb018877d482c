"""Which folders lie on a network file system, by what Linux says is mounted."""

import sqlite3
from contextlib import closing

import pytest
from support.searching import search

from se_search.errors import RunError
from se_search.store.database import SQLiteFile, refuse_without_locks
from se_search.store.file_systems import find_network_file_system
from se_search.store.trials import read_records

LINE = "36 35 98:0 / {} rw,noatime shared:1 - {} source rw"


@pytest.fixture
def mounts(tmp_path):
    def write(*mounted):
        file = tmp_path / "mountinfo"
        lines = [LINE.format(point, kind) for point, kind in (("/", "ext4"), *mounted)]
        file.write_text("\n".join(lines) + "\n")
        return file

    return write


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "lustre", "cifs", "fuse.sshfs", "fuse.juicefs"])
def test_a_folder_below_a_network_mount_is_on_it(mounts, tmp_path, kind):
    assert find_network_file_system(tmp_path / "runs" / "new", mounts((tmp_path, kind))) == kind


@pytest.mark.parametrize("kind", ["xfs", "tmpfs", "overlay", "fuse.ntfs-3g", "fuseblk"])
def test_a_local_file_system_is_none(mounts, tmp_path, kind):
    assert find_network_file_system(tmp_path, mounts((tmp_path, kind))) is None


def test_the_nearest_mount_counts_and_of_two_at_one_point_the_later(mounts, tmp_path):
    near, far = tmp_path / "far" / "near", tmp_path / "far"
    near.mkdir(parents=True)
    there = mounts((near, "xfs"), (far, "nfs4"))
    assert find_network_file_system(near, there) is None
    assert find_network_file_system(far, there) == "nfs4"
    assert find_network_file_system(far, mounts((far, "nfs4"), (far, "tmpfs"))) is None


def test_names_of_mounts_are_read_with_their_spaces(mounts, tmp_path):
    folder = tmp_path / "my disk"
    folder.mkdir()
    escaped = str(folder).replace(" ", "\\040")
    assert find_network_file_system(folder, mounts((escaped, "nfs"))) == "nfs"


def test_where_nothing_is_known_of_mounts_nothing_is_said(tmp_path):
    assert find_network_file_system(tmp_path, tmp_path / "none") is None


def journal(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA journal_mode").fetchone()[0]


def test_trials_on_a_network_file_system_have_a_rollback_journal(tmp_path):
    path = tmp_path / "trials.db"
    search(path, 2)
    assert journal(path) == "wal"
    search(SQLiteFile(path, find_network=lambda folder: "nfs4"), 4)
    assert journal(path) == "delete"
    assert len(read_records(path)) == 4


def test_one_without_locks_is_refused_with_what_to_do(tmp_path):
    error = sqlite3.OperationalError("locking protocol")
    error.sqlite_errorcode = sqlite3.SQLITE_PROTOCOL
    with pytest.raises(RunError, match=r"\(lustre\) without the locks.*--storage postgresql://"):
        refuse_without_locks(tmp_path, "lustre", error)
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    refuse_without_locks(tmp_path, "lustre", error)
