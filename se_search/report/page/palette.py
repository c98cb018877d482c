"""The colours of the page and of its figures, in light and in dark.

Figures are drawn in the light colours; the page puts the dark ones in their place where the reader
wants it dark. Hues are those of Okabe and Ito (2008, Color Universal Design), darkened for a white
and lightened for a dark ground, and nothing rests on hue alone: marks differ in shape or filling.
"""

from __future__ import annotations

PAPER, SURFACE, INK, MUTED, LINE, FAINT = (
    *("#ffffff", "#f5f7f9", "#16202a", "#556371"),
    *("#ccd4db", "#e7ebef"),
)
BLUE, VERMILION, GREEN, PURPLE, GREY = "#0067a3", "#c24a00", "#00775a", "#9a4277", "#6b7783"
SEEN_THROUGH = "2e"  # behind a colour: its opacity, of 255 (CSS Color Module Level 4)

# Light colour: dark colour. Each is written in one way only, so that text can be replaced.
DARK = {
    PAPER: "#10161c",
    SURFACE: "#18212a",
    INK: "#e8eef4",
    MUTED: "#a3b1be",
    LINE: "#3a4753",
    FAINT: "#25303a",
    BLUE: "#63b7ee",
    VERMILION: "#ff9452",
    GREEN: "#3ccb9f",
    PURPLE: "#e08fbf",
    GREY: "#93a1ae",
}
