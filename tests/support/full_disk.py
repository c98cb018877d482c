"""A full disk, for which a limit on the size of files stands, so that no disk need be filled."""

import resource
from contextlib import contextmanager


@contextmanager
def largest_file(size):
    """Let no file of this process grow beyond so many bytes, until the ``with`` block ends."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
