"""A run's trials as an Optuna study in memory, for a program that may do anything with it."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

import optuna
from optuna.artifacts import ArtifactMeta
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.exceptions import ExperimentalWarning
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, create_trial

from se_search.record import TrialRecord
from se_search.run_config import DIRECTIONS
from se_search.store.trial_attributes import attributes_of, is_assigned
from se_search.store.trials import make_record

# Where Optuna keeps what is known of a study's files; `optuna.artifacts.get_all_artifact_meta`
# reads it. Its `upload_artifact` would take a file on disk.
_ARTIFACT = "artifacts:"

Describe = Callable[[TrialRecord], Mapping[str, str | float]]


@dataclass(frozen=True, slots=True)
class ShownObjective:
    """An objective as people read it: its field in a record, a name with the unit, and a factor."""

    field: str
    name: str
    factor: float = 1.0


class Mirror:
    """An Optuna study in memory with a copy of each trial of a run, under the trial's number.

    Attributes:
        storage: Optuna's storage, which holds the one study.
        study: the copy; accuracies after each epoch are its trials' intermediate values.
        files: the artifacts of the study.
    """

    def __init__(
        self,
        name: str,
        trials: Sequence[FrozenTrial],
        objectives: Sequence[ShownObjective],
        describe: Describe,
    ) -> None:
        """Copy trials.

        Args:
            name: of the Optuna study.
            trials: all trials of a run, by number.
            objectives: what the values of a trial are, in their order.
            describe: returns the user attributes of a copy.
        """
        self.storage = InMemoryStorage()
        self.files = MemoryFiles()
        self.study = optuna.create_study(
            study_name=name,
            storage=self.storage,
            directions=[DIRECTIONS[each.field] for each in objectives],
        )
        with warnings.catch_warnings():
            # Experimental, and the only way to name the objectives.
            warnings.simplefilter("ignore", ExperimentalWarning)
            self.study.set_metric_names([each.name for each in objectives])
        self.study.add_trials(_copy(trial, objectives, describe) for trial in trials)

    @property
    def study_id(self) -> int:
        """The number of the study in its storage."""
        return self.storage.get_study_id_from_name(self.study.study_name)

    def attach(self, identifier: str, name: str, mimetype: str, content: bytes) -> None:
        """Give the study a file, by an identifier that is a UUID."""
        self.files.write(identifier, io.BytesIO(content))
        meta = ArtifactMeta(identifier, name, mimetype, None)
        self.storage.set_study_system_attr(
            self.study_id, f"{_ARTIFACT}{identifier}", json.dumps(asdict(meta))
        )


class MemoryFiles:
    """Files in memory, as Optuna's artifact store: nothing is left on a disk."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Return a file, open for reading."""
        return io.BytesIO(self._get(artifact_id))

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Keep a file."""
        self._contents[artifact_id] = content_body.read()

    def remove(self, artifact_id: str) -> None:
        """Forget a file."""
        self._get(artifact_id)
        del self._contents[artifact_id]

    def _get(self, artifact_id: str) -> bytes:
        try:
            return self._contents[artifact_id]
        except KeyError as cause:
            raise ArtifactNotFound(f"there is no file {artifact_id}") from cause


def _copy(
    trial: FrozenTrial, objectives: Sequence[ShownObjective], describe: Describe
) -> FrozenTrial:
    attributes: dict[str, Any] = {}
    known = attributes_of(trial)
    if is_assigned(trial):
        attributes |= describe(make_record(trial.number, trial.state, known))
    factors = [each.factor for each in objectives]
    fields = [each.field for each in objectives]
    accuracies = {
        row["epoch"]: round(factors[fields.index("accuracy")] * row["accuracy"], 6)
        for row in known.get("history", ())
        if "accuracy" in row
    }
    copy = create_trial(
        state=trial.state,
        values=trial.values
        and [round(factor * value, 6) for factor, value in zip(factors, trial.values, strict=True)],
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=attributes,
        intermediate_values=accuracies,
    )
    copy.datetime_start, copy.datetime_complete = trial.datetime_start, trial.datetime_complete
    return copy
