"""Keeps what is believed of a run's candidates in a file, so that it is worked out just once.

Fitting the accuracy model to 200 trainings takes half a second, and reading it back none. The file
belongs to the trials that it was worked out from: with any other ones it is made anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple

from se_search.record import TrialRecord
from se_search.store.run_folder import RunFolder
from se_search.surrogate.posterior_front import PosteriorFront, fit_front

FORMAT = 1  # another one for numbers that are worked out in another way


def read_posterior_front(
    folder: RunFolder, records: Sequence[TrialRecord], objectives: Sequence[str], full_epochs: int
) -> PosteriorFront:
    """Return the credible front of a run's trials, worked out now or before: the same to the bit.

    Args:
        folder: the run's; ``posterior.json`` in it is read, and written where that is allowed.
        records: all trials of the run.
        objectives: ``accuracy``, and the costs.
        full_epochs: of a full training.
    """
    path = folder.path / "posterior.json"
    asked = [FORMAT, list(objectives), full_epochs, [astuple(record) for record in records]]
    digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["digest"] == digest:
            return PosteriorFront.from_json(kept["front"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # not there, cut off or of another version: made anew
    front = fit_front(records, objectives, full_epochs)
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_text(
            json.dumps({"digest": digest, "front": front.to_json()}), encoding="utf-8"
        )
        temporary.replace(path)
    except OSError:
        pass  # a folder of somebody else can be read, too
    return front
