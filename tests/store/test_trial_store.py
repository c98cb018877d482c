"""The store: what Optuna holds is what the reader finds, and nobody loses a trial."""

import sqlite3
from dataclasses import asdict

import optuna
import pytest
from support.searching import OBJECTIVES, evaluate, make_space, open_store, search

from se_search.errors import DivergedError, RunError
from se_search.store.trial_reader import STUDY_NAME, read_records


def fail_some(assignment):
    if int(assignment.candidate.key, 16) % 3 == 0:
        raise DivergedError("one in three")
    return evaluate(assignment)


def test_the_reader_finds_what_optuna_holds(tmp_path):
    path = tmp_path / "trials.db"
    search(path, 15, evaluate=fail_some, max_failures=15)
    study = optuna.load_study(study_name=STUDY_NAME, storage=f"sqlite:///{path}")
    records = read_records(path)
    assert {r.state for r in records} == {"COMPLETE", "FAIL"}
    for record, trial in zip(records, study.trials, strict=True):
        found = {name: value for name, value in asdict(record).items() if value is not None}
        held = {k: v for k, v in trial.user_attrs.items() if k in asdict(record)}
        assert found == held | {"number": trial.number, "state": trial.state.name}


def test_the_reader_reads_while_the_writer_writes(tmp_path):
    path = tmp_path / "trials.db"
    seen = []
    search(path, 4, observe=lambda progress: seen.append((progress, len(read_records(path)))))
    assert [count for progress, count in seen if progress.changed] == [1, 1, 2, 2, 3, 3, 4, 4]


def test_the_file_keeps_a_write_ahead_log_and_leaves_none_behind(tmp_path):
    search(tmp_path / "trials.db", 2)
    read_records(tmp_path / "trials.db")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["trials.db"]
    connection = sqlite3.connect(tmp_path / "trials.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_other_studies_in_the_file_are_left_alone(tmp_path):
    path = tmp_path / "trials.db"
    search(path, 3)
    other = optuna.create_study(study_name="other", storage=f"sqlite:///{path}")
    other.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    assert len(read_records(path)) == 3


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RunError, match=r"nothing\.db is not there"):
        read_records(tmp_path / "nothing.db")


@pytest.mark.parametrize("content", [b"", b"no database at all, but some text" * 100])
def test_a_file_that_is_no_study_is_named(tmp_path, content):
    path = tmp_path / "trials.db"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"trials\.db can't be read"):
        read_records(path)


def test_a_broken_file_can_not_be_written_to_either(tmp_path):
    path = tmp_path / "trials.db"
    path.write_bytes(b"no database at all, but some text" * 100)
    with pytest.raises(RunError, match=r"trials\.db can't be opened"):
        open_store(path)


def test_other_directions_than_the_stored_ones_are_refused(tmp_path):
    open_store(tmp_path / "trials.db", OBJECTIVES).close()
    with pytest.raises(RunError, match="holds a study of"):
        open_store(tmp_path / "trials.db", ("accuracy", "params", "macs"))


def test_a_record_of_a_trial_that_has_not_ended_has_costs_and_no_result(tmp_path):
    seen = []
    search(tmp_path / "trials.db", 1, observe=seen.append, space=make_space())
    running = seen[1].changed
    assert (running.state, running.accuracy, running.seconds) == ("RUNNING", None, None)
    assert running.params == running.added_params + 5_000  # the made-up backbone's
