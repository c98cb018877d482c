"""A pickle as a stranger could put it into a file that se-search reads."""

from pathlib import Path


class Poison:
    """Writes a marker as it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)
