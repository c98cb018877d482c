"""A run's folder: its files, its lock, and its configuration."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from se_search.errors import RunBusyError, RunChangedError, RunError, explain, suggest_nearest
from se_search.run_config import digest_identity
from se_search.store.config_file import check_config
from se_search.store.files import read_yaml, remove_leftovers, write_yaml
from se_search.store.holder import describe_this_process, read_holder
from se_search.store.identity import compare_identities

FORMAT = 6  # of a run's folder; another number wherever an older version can't read a newer folder
READ = (5, 6)  # formats that this version reads: trials of format 5 have an attribute a field
# What a report can't do without; `se-search run` writes all of it.
REQUIRED = (
    *("identity.objectives", "identity.space.choices", "identity.space.block", "identity.epochs"),
    *("identity.data.name", "identity.data.validation", "identity.data.test"),
    *("identity.data.pool_share", "identity.backbone.name", "identity.recipe.split.draw"),
    *("search.space", "search.trials", "search.workers", "search.arguments", "working_directory"),
)
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one run: ``runs/NAME``."""

    path: Path

    @classmethod
    def named(cls, runs_dir: Path, name: str) -> RunFolder:
        """Return the folder for a run's name, which need not be there yet.

        Raises:
            RunError: the name has characters that a folder's name should not have.
        """
        if not is_run_name(name):
            raise RunError(
                f"run name {name!r}: it takes up to 64 letters, digits, '.', '_' and '-', "
                "and starts with a letter or a digit"
            )
        return cls(runs_dir / name)

    @classmethod
    def existing(cls, path: Path, runs_dir: Path = Path("runs")) -> RunFolder:
        """Return the folder of a run that is there, by its path or by its name in ``runs_dir``.

        Raises:
            RunError: there is no run, or its configuration lacks what every run's has.
        """
        tried = list(dict.fromkeys([path, runs_dir / path]))
        for folder in tried:
            if (folder / "config.yaml").is_file():
                found = cls(folder)
                found._refuse_incomplete(found.read_config())
                return found
        beside = [str(path.parent / name) for name in list_runs(path.parent)]
        hint = suggest_nearest(str(path), [*list_runs(runs_dir), *beside])
        places = " nor at ".join(map(str, tried))
        raise RunError(f"no run at {places}: there is no config.yaml{hint}")

    @property
    def database(self) -> Path:
        """The trials, as an Optuna study in a SQLite file."""
        return self.path / "trials.db"

    @property
    def config_file(self) -> Path:
        """The run's identity, settings, versions and hardware, with the format of the folder."""
        return self.path / "config.yaml"

    @property
    def backbone_file(self) -> Path:
        """The backbone as the run described it: sites, channels, costs."""
        return self.path / "backbone.json"

    @property
    def latency_json(self) -> Path:
        """What SE adds to the time of a batch, measured before the first trial."""
        return self.path / "latency.json"

    @property
    def latency_csv(self) -> Path:
        """A row for each kind of SE block that was measured."""
        return self.path / "latency.csv"

    @property
    def latency_png(self) -> Path:
        """The figure of ``latency.json``."""
        return self.path / "latency.png"

    @property
    def latency_pdf(self) -> Path:
        """The figure of ``latency.png`` for print."""
        return self.path / "latency.pdf"

    @property
    def trials_csv(self) -> Path:
        """A row for each trial."""
        return self.path / "trials.csv"

    @property
    def candidates_csv(self) -> Path:
        """A row for each candidate that has a full training."""
        return self.path / "candidates.csv"

    @property
    def pareto_csv(self) -> Path:
        """A row for each candidate on the front."""
        return self.path / "pareto.csv"

    @property
    def report_html(self) -> Path:
        """The page of the run: all that is known of it, in one file."""
        return self.path / "report.html"

    @property
    def report_md(self) -> Path:
        """The text of ``report.html`` as Markdown."""
        return self.path / "report.md"

    @property
    def pareto_png(self) -> Path:
        """The figure of the front."""
        return self.path / "pareto.png"

    @property
    def pareto_pdf(self) -> Path:
        """The figure of ``pareto.png`` for print."""
        return self.path / "pareto.pdf"

    @property
    def rungs_csv(self) -> Path:
        """A row for each rung below the full training."""
        return self.path / "rungs.csv"

    @property
    def effects_csv(self) -> Path:
        """A row for each effect of a stage, position or width."""
        return self.path / "effects.csv"

    @property
    def effects_png(self) -> Path:
        """The figure of the effects with their intervals."""
        return self.path / "effects.png"

    @property
    def effects_pdf(self) -> Path:
        """The figure of ``effects.png`` for print."""
        return self.path / "effects.pdf"

    @property
    def confirmation_log(self) -> Path:
        """The trainings in fresh replicates, as they finish."""
        return self.path / "confirmation.jsonl"

    @property
    def confirmation_file(self) -> Path:
        """The confirmations: when, with which seeds, and their results."""
        return self.path / "confirmation.yaml"

    @property
    def confirmation_csv(self) -> Path:
        """A row for each candidate that was trained again in fresh replicates."""
        return self.path / "confirmation.csv"

    @property
    def confirmation_png(self) -> Path:
        """The figure of gains over the plain network, in the search and in fresh replicates."""
        return self.path / "confirmation.png"

    @property
    def confirmation_pdf(self) -> Path:
        """The figure of ``confirmation.png`` for print."""
        return self.path / "confirmation.pdf"

    @property
    def front_tex(self) -> Path:
        """The listed candidates as a table for LaTeX."""
        return self.path / "front.tex"

    @property
    def effects_tex(self) -> Path:
        """The effects as a table for LaTeX."""
        return self.path / "effects.tex"

    @property
    def confirmation_tex(self) -> Path:
        """The last confirmation as a table for LaTeX."""
        return self.path / "confirmation.tex"

    @property
    def checklist(self) -> Path:
        """How the run keeps to the best practices of architecture search."""
        return self.path / "checklist.md"

    @property
    def worker_log(self) -> Path:
        """The output of all trainings, and the tracebacks of failed ones."""
        return self.path / "worker.log"

    @property
    def progress_log(self) -> Path:
        """The epochs of trainings as they end, a JSON object a line."""
        return self.path / "progress.jsonl"

    @property
    def tensorboard(self) -> Path:
        """What TensorBoard shows of the trainings, with ``--logger tensorboard``."""
        return self.path / "tensorboard"

    def correct_file(self, number: int) -> Path:
        """Packed bits: which validation images trial ``number`` classifies correctly."""
        return self.path / "correct" / f"{number:05d}.bits"

    @property
    def lock_file(self) -> Path:
        """The file by which a command keeps others from the folder, and which names it."""
        return self.path / "run.lock"

    def lock(self) -> AbstractContextManager[object]:
        """Make the folder and take it for this process, until the ``with`` block ends.

        If the block fails before it has put anything into a folder that was not there before, the
        folder is taken away again, with those parents that were made for it.

        Raises:
            RunBusyError: another process has taken the folder.
            RunError: the folder can't be made or written to.
        """
        correct, file = self.path / "correct", self.lock_file
        made = [each for each in (self.path, *self.path.parents) if not each.exists()]
        holder = None
        try:
            correct.mkdir(parents=True, exist_ok=True)
            if not os.access(self.path, os.W_OK):  # the lock's file might be written to
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            holder = read_holder(file)  # before filelock, which may empty the file, opens it
            lock = FileLock(file).acquire(timeout=0)
            file.write_text(describe_this_process())
        except Timeout as cause:
            raise RunBusyError(
                f"another se-search{f' ({holder})' if holder else ''} is working on {self.path}; "
                "wait for it, stop it, or take another --name"
            ) from cause
        except OSError as cause:
            raise RunError(f"{self.path} can't be written to: {explain(cause)}") from cause
        for folder in (self.path, correct):
            remove_leftovers(folder)
        return _Held(lock, file, made)

    def read_config(self) -> dict[str, Any]:
        """Read ``config.yaml``; empty if the run has not started yet.

        Raises:
            RunError: the file can't be read, the folder is of another format, or a value is not
                as a run can have it.
        """
        if not self.config_file.is_file():
            if (self.path / "study.db").exists():
                raise self._refuse_format(1)
            return {}
        config = read_yaml(self.config_file)
        if not isinstance(config, dict):
            raise RunError(f"{self.config_file} is no configuration of a run: it is no mapping")
        number = config.pop("format", 1 if "study" in config else None)
        if number not in READ:
            raise self._refuse_format(number)
        if not isinstance(config.get("identity"), dict):
            raise RunError(
                f"{self.config_file} is no configuration of a run: 'identity' is not there, or is "
                "no mapping"
            )
        check_config(self.config_file, config)
        return config

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write ``config.yaml``, with the format of the folder.

        Raises:
            RunError: the file can't be written.
        """
        write_yaml(self.config_file, {"format": FORMAT, **config})

    def refuse_changes(self, identity: Mapping[str, Any]) -> None:
        """Refuse to continue the run as another search than it was started as.

        Raises:
            RunChangedError: the identity differs; the message lists where.
            RunError: the recorded identity is not the one that its recorded hash was made of.
        """
        config = self.read_config()
        written = config.get("hash")
        if written is not None and written != digest_identity(config["identity"]):
            raise RunError(
                f"{self.config_file} was changed by hand: its identity is not the one of the hash "
                f"{written}, and trials of two searches would be mixed. Put it back, or take "
                "another --name"
            )
        differences = compare_identities(config["identity"], identity) if config else []
        if differences:
            lines = "\n".join(f"  {line}" for line in differences)
            raise RunChangedError(
                f"{self.path} holds another search, and trials of the two can't be compared:\n"
                f"{lines}\nRun the command that it was started with, or take another --name."
            )

    def _refuse_incomplete(self, config: Mapping[str, Any]) -> None:
        unfit = f"{self.config_file} is no configuration of a run:"
        for key in REQUIRED:
            value: Any = config
            for part in key.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
            if value is None:
                raise RunError(f"{unfit} it has no {key!r}")

    def _refuse_format(self, number: object) -> RunError:
        found = "a run that states no format" if number is None else f"a run of format {number!r}"
        return RunError(
            f"{self.path} holds {found}; this version of se-search reads formats "
            f"{' and '.join(map(str, READ))}"
        )


def is_run_name(name: str) -> bool:
    """Tell whether a run can have this name."""
    return re.fullmatch(NAME_PATTERN, name) is not None


def list_runs(runs_dir: Path) -> list[str]:
    """Return the names of the runs in a folder; empty if there is no folder."""
    return sorted(path.parent.name for path in runs_dir.glob("*/config.yaml") if path.is_file())


class _Held:
    """A lock that this process has; its file names nobody once it is given back.

    Args:
        lock: on the file.
        file: names this process.
        made: folders that were made for it, that of the run first.
    """

    def __init__(
        self, lock: AbstractContextManager[object], file: Path, made: Sequence[Path]
    ) -> None:
        self._lock = lock
        self._file = file
        self._made = made

    def __enter__(self) -> None:
        self._lock.__enter__()

    def __exit__(self, *error: Any) -> None:
        with suppress(OSError):
            self._file.write_text("")
            if self._made and error[0] is not None:
                self._take_away()
        self._lock.__exit__(*error)

    def _take_away(self) -> None:
        """Remove the folders that were made, if there is nothing in them."""
        folder, correct = self._file.parent, self._file.parent / "correct"
        if set(folder.iterdir()) == {self._file, correct} and not any(correct.iterdir()):
            self._file.unlink()  # while it is held
            for empty in (correct, *self._made):
                empty.rmdir()
