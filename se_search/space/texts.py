"""From candidates' texts, as a run keeps them, to the levels that they carry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from se_search.space.bound import BoundSpace


def encode_texts(space: BoundSpace, texts: Sequence[str]) -> NDArray[np.int16]:
    """Return the level that each candidate carries in each slot, as ``BoundSpace.codes_of`` does.

    Args:
        space: the candidates' space.
        texts: ``n`` candidates, as ``str(candidate)`` writes them; repeats are allowed.

    Returns:
        ``(n, num_slots)``: positions in ``space.levels[slot]``.

    Raises:
        CandidateError: a text is no candidate of the space's backbone.
        SpaceError: a candidate is not in the space.
    """
    known = {text: space.codes_of(space.parse(text)) for text in dict.fromkeys(texts)}
    rows = [known[text] for text in texts]
    return np.array(rows, np.int16).reshape(len(rows), len(space.slots))
