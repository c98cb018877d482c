"""Claims about two candidates: superiority, non-inferiority or equivalence, by a margin."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import numpy as np

from se_search.analysis.replicates import DECIMALS
from se_search.errors import RunError

Kind = Literal["beats", "is not worse than", "equals"]

NAME = r"[A-Za-z0-9_.-]+"
NUMBER = r"\d+(?:\.\d+)?|\.\d+"
FORM = re.compile(
    rf"(?P<a>{NAME}) (?:"
    rf"(?P<beats>beats) (?P<b1>{NAME})(?: by (?P<m1>{NUMBER}))?"
    rf"|(?P<holds>is not worse than) (?P<b2>{NAME}) by more than (?P<m2>{NUMBER})"
    rf"|(?P<equals>equals) (?P<b3>{NAME}) within (?P<m3>{NUMBER})"
    r")(?: in top-(?P<top>[15]))?"
)
ALLOWED = (
    "'A beats B', 'A beats B by 0.2', 'A is not worse than B by more than 0.1' or 'A equals B "
    "within 0.1', in points of accuracy, and ' in top-5' at the end for top-5 accuracy; names "
    "consist of letters, digits, '_', '.' and '-'"
)


class Region(NamedTuple):
    """An open interval of true differences, in shares."""

    low: float
    high: float

    def holds(self, difference: float) -> bool:
        """Tell whether a difference lies inside by more than rounding."""
        return round(difference - self.low, DECIMALS) > 0 > round(difference - self.high, DECIMALS)


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement about the true difference in accuracy of two candidates.

    Attributes:
        a: name of the candidate that the claim is about.
        kind: ``beats`` is superiority, ``is not worse than`` non-inferiority, ``equals``
            equivalence.
        b: name of the candidate that ``a`` is compared with.
        margin: points of accuracy (0.2 is 0.2 %): A beats B by more than the margin, is worse by
            no more than the margin, or differs by less than the margin.
        top: 1 for top-1 accuracy, 5 for top-5.

    Raises:
        RunError: a name, margin or measure that is not allowed.
    """

    a: str
    kind: Kind
    b: str
    margin: float = 0.0
    top: int = 1

    def __post_init__(self) -> None:
        for name in (self.a, self.b):
            if not re.fullmatch(NAME, name):
                raise RunError(f"{name!r} is no name of a candidate; allowed is {ALLOWED}")
        if self.a == self.b:
            raise RunError(f"claim {str(self)!r} compares {self.a} with itself; name two")
        if self.top not in (1, 5):
            raise RunError(f"claim {str(self)!r} is about top-{self.top}; allowed are top-1, top-5")
        if not 0 <= self.margin < 100:
            raise RunError(f"claim {str(self)!r}: its margin is not from 0 to below 100 points")
        if self.margin == 0 and self.kind != "beats":
            raise RunError(
                f"claim {str(self)!r}: a margin of 0 leaves nothing to show; say more than 0"
                + (f", or '{self.a} beats {self.b}'" if self.kind != "equals" else "")
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a claim such as ``A beats B by 0.2 in top-5``.

        Raises:
            RunError: the text has none of the forms.
        """
        found = FORM.fullmatch(" ".join(text.split()))
        if not found:
            raise RunError(f"claim {text!r} can't be read; allowed is {ALLOWED}")
        kind: Kind = "equals"
        if found["beats"]:
            kind = "beats"
        elif found["holds"]:
            kind = "is not worse than"
        b = found["b1"] or found["b2"] or found["b3"]
        margin = found["m1"] or found["m2"] or found["m3"] or "0"
        return cls(found["a"], kind, b, float(margin), int(found["top"] or 1))

    def __str__(self) -> str:
        margin = np.format_float_positional(self.margin, trim="-")
        ending = "" if self.top == 1 else f" in top-{self.top}"
        if self.kind == "beats":
            return f"{self.a} beats {self.b}" + (f" by {margin}" if self.margin else "") + ending
        join = "within" if self.kind == "equals" else "by more than"
        return f"{self.a} {self.kind} {self.b} {join} {margin}{ending}"

    @property
    def region(self) -> Region:
        """Where the true difference A - B lies if the claim is true."""
        margin = self.margin / 100
        if self.kind == "beats":
            return Region(margin, math.inf)
        return Region(-margin, margin if self.kind == "equals" else math.inf)

    @property
    def outside(self) -> tuple[Region, ...]:
        """Where the difference A - B lies if the claim is false: two regions for ``equals``."""
        low, high = self.region
        below = Region(-math.inf, low)
        return (below, Region(high, math.inf)) if high < math.inf else (below,)
