"""Run folders without a search: the record of a space and a backbone, and made-up trials."""

from copy import deepcopy
from dataclasses import asdict

import optuna
from optuna.trial import TrialState
from support.made_up_configs import CONFIG

from se_search.run_config import DIRECTIONS
from se_search.store.run_folder import RunFolder
from se_search.store.run_space import write_backbone
from se_search.store.trial_attributes import ATTRIBUTE
from se_search.store.trials import TrialStore


def begin_run(path, space, **identity):
    """Make the folder of a run that searches a bound space; return it.

    Args:
        path: of the folder.
        space: a ``BoundSpace``.
        identity: what else the configuration records.
    """
    path.mkdir(parents=True, exist_ok=True)
    folder = RunFolder(path)
    recorded = space.space.model_dump(mode="json", exclude={"description"})
    usual = {
        "objectives": ["accuracy", "params"],
        "epochs": 4,
        "backbone": {"name": space.backbone.name},
        "data": {"name": "digits", "validation": 10, "test": 10, "pool_share": 0.2},
        "recipe": {"split": {"draw": "replicate"}},
    }
    search = {"space": "stages", "trials": 1, "workers": 1, "arguments": ["--space", "stages"]}
    folder.write_config(
        {
            "identity": {"space": recorded, **usual, **identity},
            "search": search,
            "working_directory": str(path),
        }
    )
    write_backbone(folder, space.backbone)
    return folder


def fill_config(folder):
    """Add what a run records of itself besides what a search needs: all that a page asks of it."""
    config, usual = folder.read_config(), deepcopy(CONFIG)
    whole = ("data", "recipe")
    identity = usual["identity"] | config["identity"]
    identity |= {name: usual["identity"][name] for name in whole}
    search = usual["search"] | config["search"]
    folder.write_config(usual | config | {"identity": identity, "search": search})


def store_trials(folder, records, objectives=("accuracy", "params")):
    """Write trials that have ended well into a run's storage; numbers are given anew, in order."""
    store = TrialStore(folder.database, objectives, [DIRECTIONS[name] for name in objectives])
    try:
        for record in records:
            is_full = record.state == "COMPLETE"
            store.optuna_study.add_trial(
                optuna.trial.create_trial(
                    state=TrialState[record.state],
                    values=[getattr(record, name) for name in objectives] if is_full else None,
                    user_attrs={ATTRIBUTE: asdict(record)},
                )
            )
    finally:
        store.close()
