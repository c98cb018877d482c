"""Lets a search keep weights as its options say."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from se_search.commands.options import SearchOptions
from se_search.options import parse_bytes
from se_search.search.weights_keeper import Keeping, Mode, WeightsKeeper
from se_search.space.bound import BoundSpace
from se_search.store.confirmations import read_rounds
from se_search.store.front_cache import read_posterior_front, read_question
from se_search.store.kept_weights import KeptWeights
from se_search.store.run_folder import RunFolder
from se_search.store.run_space import read_space
from se_search.store.trials import TrialStore
from se_search.surrogate.fit_front import fit_front


def begin_keeping(
    folder: RunFolder,
    options: SearchOptions,
    space: BoundSpace,
    store: TrialStore,
    note: Callable[[str], None],
) -> WeightsKeeper:
    """Return what keeps weights in a run's folder, from which it has removed what is of no trial.

    Args:
        folder: of the run.
        options: say what is kept.
        space: that the candidates are of.
        store: the run's trials.
        note: told of what is not kept.
    """
    question = read_question(folder)
    keeper = WeightsKeeper(
        KeptWeights(folder.path),
        Keeping(
            cast(Mode, options.keep_weights),
            parse_bytes("weights_budget", options.weights_budget),
            question.full_epochs,
        ),
        lambda: store.records,
        lambda records: fit_front(records, space, question),
        note,
    )
    keeper.begin()
    return keeper


def finish_keeping(keeper: WeightsKeeper, folder: RunFolder, store: TrialStore) -> None:
    """Drop the weights of candidates that can't be recommended any more, as the search has ended.

    Those of the last confirmation stay, too.
    """
    # The space as the folder has it: a report finds the front that is kept here.
    front = read_posterior_front(folder, store.records, read_space(folder))
    rounds = read_rounds(folder)
    keeper.finish(front, [chosen.key for chosen in rounds[-1].chosen] if rounds else ())
