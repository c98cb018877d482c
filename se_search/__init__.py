"""se-search: where squeeze-and-excitation blocks belong, and whether the difference is real."""

from importlib.metadata import version

__version__ = version("se-search")
