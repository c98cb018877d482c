"""The store: what Optuna holds is what the reader finds, and nobody loses a trial."""

import gc
import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import optuna
import pytest
from support.optuna_studies import load_optuna_study
from support.searching import OBJECTIVES, evaluate, make_space, open_store, search

from se_search.errors import DivergedError, InfrastructureError, RunError
from se_search.execution.serial import SerialExecutor
from se_search.record import Effort, Failure, Fault, RanOn
from se_search.store.trials import read_records


def fail_some(assignment):
    if int(assignment.candidate.key, 16) % 3 == 0:
        raise DivergedError("one in three")
    return evaluate(assignment)


def test_the_reader_finds_what_optuna_holds(tmp_path):
    path = tmp_path / "trials.db"
    search(path, 15, evaluate=fail_some, max_failures=15)
    study = load_optuna_study(path)
    records = read_records(path)
    assert {r.state for r in records} == {"COMPLETE", "FAIL"}
    for record, trial in zip(records, study.trials, strict=True):
        found = {name: value for name, value in asdict(record).items() if value is not None}
        (kept,) = trial.user_attrs.values()  # one row of a table for each trial
        held = {k: v for k, v in kept.items() if k in asdict(record)}
        assert found == held | {"number": trial.number, "state": trial.state.name}


def test_a_run_whose_trials_have_an_attribute_for_each_field_is_read_and_goes_on(tmp_path):
    path = tmp_path / "trials.db"
    search(path, 4)
    records = read_records(path)
    older = tmp_path / "older.db"
    with open_store(older) as store:  # as format 5 has it
        for trial in load_optuna_study(path).trials:
            (kept,) = trial.user_attrs.values()
            trial.user_attrs = kept
            store.optuna_study.add_trial(trial)
    assert read_records(older) == records
    search(older, 6)
    search(path, 6)
    assert read_records(older) == read_records(path)


RAN_ON = RanOn("an A100", "580.1", "13.0", "91900", "32-true", "2.14.1", 2**33)


def test_a_trial_keeps_what_it_ran_on(tmp_path):
    path = tmp_path / "trials.db"
    search(path, 1, evaluate=lambda a: replace(evaluate(a), ran_on=RAN_ON))
    (record,) = read_records(path)
    assert {name: getattr(record, name) for name in asdict(RAN_ON)} == asdict(RAN_ON)


def test_what_a_trial_took_counts_the_attempts_of_earlier_commands(tmp_path):
    path = tmp_path / "trials.db"

    class Broken(SerialExecutor):
        def wait(self, timeout):
            number, _ = self._queue.popleft()
            return [(number, Failure("gone", Fault.INFRASTRUCTURE, Effort(3, 30.0, 15.0)))]

    with pytest.raises(InfrastructureError):
        search(path, 2, executor=Broken(evaluate))
    (waiting,) = read_records(path)
    assert (waiting.state, waiting.attempts, waiting.wall_seconds) == ("WAITING", 3, 30.0)
    search(path, 1, evaluate=lambda a: replace(evaluate(a), effort=Effort(1, 8.0, 2.0)))
    (record,) = read_records(path)
    assert (record.attempts, record.wall_seconds, record.device_seconds) == (4, 38.0, 17.0)


def test_what_a_failed_trial_took_is_kept(tmp_path):
    path = tmp_path / "trials.db"

    class Failing(SerialExecutor):
        def wait(self, timeout):
            number, _ = self._queue.popleft()
            return [(number, Failure("the loss is nan", effort=Effort(1, 5.0, 5.0)))]

    search(path, 1, executor=Failing(evaluate))
    (record,) = read_records(path)
    assert (record.state, record.attempts, record.device_seconds) == ("FAIL", 1, 5.0)


def test_the_reader_reads_while_the_writer_writes(tmp_path):
    path = tmp_path / "trials.db"
    seen = []
    search(path, 4, observe=lambda progress: seen.append((progress, len(read_records(path)))))
    assert [count for progress, count in seen if progress.changed] == [1, 1, 2, 2, 3, 3, 4, 4]


def test_the_file_keeps_a_write_ahead_log_and_leaves_none_behind(tmp_path):
    search(tmp_path / "trials.db", 2)
    read_records(tmp_path / "trials.db")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["trials.db"]
    with closing(sqlite3.connect(tmp_path / "trials.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_other_optuna_studies_in_the_file_are_left_alone(tmp_path):
    path = tmp_path / "trials.db"
    search(path, 3)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    other = optuna.create_study(study_name="other", storage=storage)
    other.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    storage.remove_session()
    storage.engine.dispose()
    assert len(read_records(path)) == 3


READ_WITHOUT_RIGHTS = """
import os, sys
from pathlib import Path
from se_search.store.trials import read_records
path = Path(sys.argv[1])
read_records(path)  # imports everything, for which the rights may be needed
os.chmod(path, 0o444)
os.chmod(path.parent, 0o555)
if os.geteuid() == 0:
    os.setuid(65534)  # nobody: no rights to write are left to whoever runs the tests as root
assert not os.access(path.parent, os.W_OK)
print(*(record.number for record in read_records(path)))
"""


@pytest.fixture
def open_folder():
    """Return a folder that all users may enter, unlike tmp_path."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)
        os.chmod(name, 0o755)


def read_without_rights(path):
    command = [sys.executable, "-W", "error", "-c", READ_WITHOUT_RIGHTS, str(path)]
    return subprocess.check_output(command, text=True, timeout=60).split()


def test_a_run_is_read_from_a_folder_that_is_read_only(open_folder):
    path = open_folder / "trials.db"
    search(path, 3)
    assert read_without_rights(path) == ["0", "1", "2"]
    assert [file.name for file in open_folder.iterdir()] == ["trials.db"]


def test_a_reader_without_rights_sees_what_a_search_has_just_written(open_folder):
    path = open_folder / "trials.db"
    search(path, 2)
    with open_store(path):
        seen = []

        def read(progress):
            if progress.changed and progress.changed.state == "COMPLETE":
                seen.append(read_without_rights(path))
                os.chmod(open_folder, 0o755)
                os.chmod(path, 0o644)

        search(path, 3, observe=read)
    assert seen == [["0", "1", "2"]]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="/proc lists open files")
def test_no_connection_stays_open_after_reading_writing_or_failing(tmp_path):
    path = tmp_path / "trials.db"
    search(path, 2)
    read_records(path)
    with pytest.raises(RunError):
        open_store(path, ("accuracy", "params", "macs"))
    (tmp_path / "empty.db").touch()
    with pytest.raises(RunError):
        read_records(tmp_path / "empty.db")
    assert open_files_of(tmp_path) == []
    gc.collect()  # from Python 3.13 on, a connection that nobody closed warns here


def open_files_of(folder):
    found = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = link.readlink()
        except OSError:  # the one of this very listing
            continue
        if target.is_relative_to(folder):
            found.append(target.name)
    return found


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RunError, match=r"nothing\.db is not there"):
        read_records(tmp_path / "nothing.db")


def test_the_reason_why_a_file_is_no_database_is_sqlites_own(tmp_path):
    path = tmp_path / "trials.db"
    path.write_bytes(b"no database at all, but some text" * 100)
    with pytest.raises(
        RunError, match=r"can't be read as the trials of a run: file is not a datab"
    ):
        read_records(path)


@pytest.mark.parametrize("content", [b"", b"no database at all, but some text" * 100])
def test_a_file_that_is_no_study_is_named(tmp_path, content):
    path = tmp_path / "trials.db"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"trials\.db can't be read"):
        read_records(path)


def test_a_broken_file_can_not_be_written_to_either(tmp_path):
    path = tmp_path / "trials.db"
    path.write_bytes(b"no database at all, but some text" * 100)
    with pytest.raises(RunError, match=r"trials\.db can't be opened for trials"):
        open_store(path)


def test_other_directions_than_the_stored_ones_are_refused(tmp_path):
    open_store(tmp_path / "trials.db", OBJECTIVES).close()
    with pytest.raises(RunError, match="are to maximize, minimize, not to maximize, minimize, min"):
        open_store(tmp_path / "trials.db", ("accuracy", "params", "macs"))


def test_a_record_of_a_trial_that_has_not_ended_has_costs_and_no_result(tmp_path):
    seen = []
    search(tmp_path / "trials.db", 1, observe=seen.append, space=make_space())
    running = seen[1].changed
    assert (running.state, running.accuracy, running.seconds) == ("RUNNING", None, None)
    assert running.params == running.added_params + 5_000  # the made-up backbone's
