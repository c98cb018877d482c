"""Tells which file systems are shared over a network, where some ways of writing are unsafe."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
# By the name that Linux gives each one; after "fuse." comes the name of a program.
NETWORK = frozenset(
    """
    9p acfs afs beegfs ceph cifs coda cvmfs dvs fhgfs gfs gfs2 gpfs lustre mfs ncpfs nfs nfs4 ocfs2
    orangefs panfs pvfs2 smb2 smb3 smbfs wekafs
    """.split()  # noqa: SIM905  # a list of fifty quoted words is no easier to read
)
NETWORK_PROGRAMS = frozenset(
    """
    beegfs ceph ceph-fuse cvmfs2 davfs glusterfs goofys juicefs mfs moosefs rclone s3fs seaweedfs
    sshfs
    """.split()  # noqa: SIM905
)


def find_network_file_system(folder: Path, mounts: Path = MOUNTS) -> str | None:
    """Return the kind of file system that a folder lies on, as ``nfs4``, if it is a network's.

    Args:
        folder: any folder; one that is not there yet counts as its parent.
        mounts: what is mounted where, as Linux writes it; elsewhere nothing is known.

    Returns:
        None: it is not, or nothing is known of it.
    """
    try:
        text = mounts.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    path = folder.resolve()
    below = [(point, kind) for point, kind in _list_mounts(text) if path.is_relative_to(point)]
    if not below:
        return None
    # Of two at one point the later one hides the earlier one.
    _, kind = max(enumerate(below), key=lambda each: (len(each[1][0].parts), each[0]))[1]
    family, _, program = kind.partition(".")
    is_network = kind in NETWORK or (family == "fuse" and program in NETWORK_PROGRAMS)
    return kind if is_network else None


def _list_mounts(text: str) -> Iterator[tuple[Path, str]]:
    """Yield mount points and kinds, from lines as proc_pid_mountinfo(5) describes them."""
    for line in text.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if separator and len(fields) > 4:
            yield Path(re.sub(r"\\([0-7]{3})", _unescape, fields[4])), after.split(" ")[0]


def _unescape(found: re.Match[str]) -> str:
    return chr(int(found[1], 8))
