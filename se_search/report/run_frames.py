"""A run's trials, candidates, effects and confirmation as data frames; docs/api.md has the columns.

Each is tidy: a row is one thing, a column one quantity of one unit. What is not known is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from se_search.record import TrialRecord
from se_search.report.confirmation import CONFIRMED_FIELDS, confirmed_row
from se_search.report.effects import FIELDS, effect_rows
from se_search.report.run_report import FRONT_FIELDS
from se_search.store.confirmations import Round
from se_search.surrogate.posterior_front import PosteriorCandidate, PosteriorFront

if TYPE_CHECKING:
    import pandas as pd


def frame_trials(records: Iterable[TrialRecord]) -> pd.DataFrame:
    """Return a row for each trial, by number."""
    import pandas as pd

    names = [field.name for field in fields(TrialRecord)]
    return pd.DataFrame([asdict(record) for record in records], columns=names)


def frame_candidates(candidates: Iterable[PosteriorCandidate]) -> pd.DataFrame:
    """Return a row for each of some candidates."""
    import pandas as pd

    rows = [candidate.flat() for candidate in candidates]
    return pd.DataFrame(rows, columns=list(FRONT_FIELDS))


def frame_effects(front: PosteriorFront) -> pd.DataFrame:
    """Return a row for each effect; none where there is no model."""
    import pandas as pd

    rows = [] if front.effects is None else effect_rows(front.effects)
    return pd.DataFrame(rows, columns=list(FIELDS))


def frame_confirmation(rounds: Sequence[Round]) -> pd.DataFrame:
    """Return a row for each candidate of the last confirmation that has a result; else none."""
    import pandas as pd

    results = [each.result for each in rounds if each.result is not None]
    rows = [confirmed_row(candidate) for candidate in results[-1].candidates] if results else []
    return pd.DataFrame(rows, columns=list(CONFIRMED_FIELDS))
