"""What is out of the ordinary about an image file that can be read."""

from __future__ import annotations

from enum import IntFlag


class Peculiarity(IntFlag):
    """What is to be said of an image that is not plain grey or RGB of 8 bits."""

    NONE = 0
    SIXTEEN_BITS = 1
    FLOATS = 2
    ALPHA = 4
    FRAMES = 8
