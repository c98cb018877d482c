"""The SQLite file: found under any name, locked by others, damaged, or of another Optuna."""

import pickle
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import optuna
import pytest
from support.made_up_trainings import record_of
from support.names import ODD_NAMES
from support.poison import Poison
from support.run_folders import store_trials
from support.searching import OBJECTIVES, open_store, search

from se_search.errors import RunError
from se_search.store.database import SQLiteFile
from se_search.store.run_folder import RunFolder
from se_search.store.trials import TrialStore, read_records

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA locking_mode=EXCLUSIVE")
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    store_trials(RunFolder(tmp_path), [record_of(0, 0.5), record_of(1, 0.6)])
    return tmp_path / "trials.db"


@pytest.fixture
def holder(path):
    """Return a process that keeps the file locked."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.stdin.close()


@pytest.mark.parametrize("name", ODD_NAMES)
def test_trials_are_found_again_under_any_name_of_the_folder(tmp_path, name):
    folder = RunFolder(tmp_path / name / "run")
    folder.path.mkdir(parents=True)
    store_trials(folder, [record_of(0, 0.5)])
    assert [record.accuracy for record in read_records(folder.database)] == [0.5]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [folder.database]


def test_a_file_that_stays_locked_is_named_with_the_process_that_holds_it(path, holder):
    with pytest.raises(RunError) as caught:
        read_records(path, busy_seconds=0.1)
    assert str(caught.value).startswith(
        f"{path} can't be read as the trials of a run: it is locked. Close "
    )
    assert f"(process {holder.pid}), and repeat the command" in str(caught.value)


def test_a_file_that_stays_locked_is_not_opened_for_writing_either(path, holder):
    with pytest.raises(RunError, match="can't be opened for trials: it is locked"):
        TrialStore(path, OBJECTIVES, ["maximize", "minimize"], busy_seconds=0.1)


def test_a_file_that_is_freed_in_time_is_waited_for(path, holder):
    holder.stdin.close()
    assert len(read_records(path, busy_seconds=30)) == 2


def test_a_write_that_is_kept_waiting_too_long_is_a_sentence(path):
    store = TrialStore(path, OBJECTIVES, ["maximize", "minimize"], busy_seconds=0.1)

    def write():
        with store.explaining_errors():
            store.optuna_study.set_user_attr("a", 1)

    with store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RunError, match="can't be read or written: it is locked"):
            write()


def test_an_error_that_is_not_the_databases_is_left_as_it_is(path):
    with open_store(path) as store, pytest.raises(ZeroDivisionError), store.explaining_errors():
        _ = 1 / 0


def test_a_torn_file_is_named(path):
    path.write_bytes(path.read_bytes()[:10_000])
    for use in (read_records, open_store):
        with pytest.raises(RunError, match=r"trials\.db can't be .*: database disk image is"):
            use(path)


@pytest.mark.parametrize("sampler", ["tpe", "pareto"])
def test_code_in_the_attributes_of_trials_is_not_run_by_samplers(tmp_path, sampler):
    """Optuna's CMA-ES keeps itself as a pickle in the attributes of trials, under such names."""
    path = tmp_path / "trials.db"
    search(path, 2)
    poison = pickle.dumps(Poison(tmp_path / "marker")).hex()
    with open_store(path) as store:
        study, storage = store.optuna_study, store.optuna_study._storage
        storage.set_study_system_attr(study._study_id, "cma:optimizer", poison)
        trial = study.ask()
        storage.set_trial_system_attr(trial._trial_id, "cma:optimizer:0", poison)
    search(path, 3, sampler=sampler)
    assert len(read_records(path)) == 3
    assert not (tmp_path / "marker").exists()


def test_tables_of_a_newer_optuna_are_said_to_be_so(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v99.0.0.a'")
        connection.commit()
    with pytest.raises(RunError) as caught:
        open_store(path)
    assert str(caught.value) == (
        f"{path} can't be opened for trials: another version of Optuna than this one, "
        f"{optuna.__version__}, has made its tables; install that version, or a newer one"
    )


def test_a_database_without_trials_of_se_search_is_said_to_be_so(tmp_path):
    path = tmp_path / "trials.db"
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    optuna.create_study(study_name="other", storage=storage)
    storage.remove_session()
    storage.engine.dispose()
    with pytest.raises(RunError, match="as the trials of a run: it holds no trials of se-search"):
        read_records(path)


def test_who_looks_for_a_new_file_all_the_time_finds_it_with_its_tables(tmp_path):
    """A report that is asked for while a run begins must not make the run's tables for it."""
    path, seen = tmp_path / "trials.db", []

    def look():
        while not path.exists():
            pass
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            seen.extend(connection.execute("SELECT version_num FROM alembic_version"))
            seen.extend(connection.execute("SELECT count(*) FROM version_info"))

    looking = threading.Thread(target=look)
    looking.start()
    SQLiteFile(path).open_for_writing().close()
    looking.join()
    assert len(seen) == 2
    assert seen[1] == (1,)


def test_what_a_killed_process_left_of_a_new_file_is_made_anew(tmp_path):
    (tmp_path / "trials.db.new").write_bytes(b"half")
    SQLiteFile(tmp_path / "trials.db").open_for_writing().close()
    assert [file.name for file in tmp_path.iterdir()] == ["trials.db"]
