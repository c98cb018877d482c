"""Trials in a real PostgreSQL server: shared by runs, restarted under them, with a password."""

import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from support.commands import COMMAND, RUN
from support.postgres import QUOTED, USER, Server, find_programs
from support.searching import OBJECTIVES, evaluation, made_up_accuracy, search

from se_search.errors import RunBusyError, RunError, StorageError
from se_search.execution.storing import Room
from se_search.run_config import DIRECTIONS
from se_search.store.postgres import PostgresStudy
from se_search.store.trial_times import read_times
from se_search.store.trials import TrialStore, read_records

pytest.importorskip("psycopg", reason="the extra postgresql is not installed")
PROGRAMS = find_programs()
pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed")


@pytest.fixture(scope="module")
def server():
    folder = Path(tempfile.mkdtemp(prefix="se-search-postgresql-"))
    server = Server(PROGRAMS, folder)
    yield server
    server.stop()
    shutil.rmtree(folder)


def open_store(place):
    return TrialStore(place, OBJECTIVES, [DIRECTIONS[name] for name in OBJECTIVES])


def test_a_search_makes_the_trials_that_it_makes_in_a_file(server, tmp_path):
    place = PostgresStudy(server.url(), "equal")
    assert not place.exists()
    search(place, 12)
    search(tmp_path / "trials.db", 12)
    assert place.exists()
    assert read_records(place) == read_records(tmp_path / "trials.db")
    times = read_times(place)
    assert [time.number for time in times] == list(range(12))
    assert all(time.began <= time.ended for time in times)


def test_runs_in_one_database_do_not_see_each_other(server):
    first, second = (PostgresStudy(server.url(), name) for name in ("first", "second"))
    search(first, 5)
    before = first.stamp()
    search(second, 3)
    assert (len(read_records(first)), len(read_times(first))) == (5, 5)
    assert (len(read_records(second)), len(read_times(second))) == (3, 3)
    assert first.stamp() == before
    search(first, 6)
    assert first.stamp() != before


def test_a_study_is_written_by_one_process_at_a_time(server):
    place = PostgresStudy(server.url(), "one-writer")
    with open_store(place):
        with pytest.raises(RunBusyError, match=r"another se-search is writing .*one-writer"):
            open_store(place)
        open_store(PostgresStudy(server.url(), "another")).close()
        assert read_records(place) == []
    open_store(place).close()


def test_processes_that_make_the_tables_at_once_all_succeed(server):
    import psycopg

    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE fresh")
    code = (
        "import sys; from se_search.store.postgres import PostgresStudy as P; "
        "P(sys.argv[1], sys.argv[2]).open_for_writing(1.0).close()"
    )
    url = server.url(database="fresh")
    processes = [
        subprocess.Popen([sys.executable, "-c", code, url, f"run{number}"]) for number in range(4)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0] * 4


def test_a_server_that_is_restarted_costs_no_trial_and_makes_none_twice(server):
    place = PostgresStudy(server.url(), "restarted")
    made, starting = [], []

    def evaluate(assignment):
        made.append((assignment.candidate.key, assignment.seed))
        if len(made) in (4, 9):
            for thread in starting:
                thread.join()
            server.stop()
            starting.append(threading.Timer(1.5, server.start))
            starting[-1].start()
        return evaluation(made_up_accuracy(assignment))

    notes = []
    search(place, 14, evaluate=evaluate, room=Room(note=notes.append))
    for thread in starting:
        thread.join()
    records = read_records(place)
    assert [record.state for record in records] == ["COMPLETE"] * 14
    assert len(made) == len(set(made)) == 14
    assert any("Nothing more begins" in note for note in notes)
    assert notes[-1].startswith("All that had ended is stored now")


def test_a_server_that_is_away_is_named_with_its_cause_and_without_the_password(server):
    place = PostgresStudy(server.url().replace(str(server.port), "1"), "away")
    with pytest.raises(StorageError) as caught:
        read_records(place)
    assert f"postgresql://{USER}:***@127.0.0.1:1/postgres (study away)" in str(caught.value)
    assert "refused" in str(caught.value).lower()
    assert QUOTED not in str(caught.value)
    assert QUOTED not in repr(place)


@pytest.mark.parametrize("look", [PostgresStudy.exists, PostgresStudy.stamp, read_times])
def test_whoever_looks_at_a_server_that_is_away_gets_an_error_of_the_storage(server, look):
    place = PostgresStudy(server.url().replace(str(server.port), "1"), "away")
    with pytest.raises(StorageError, match=r"\(study away\) can't be reached: .*refused"):
        look(place)


@pytest.mark.parametrize(
    ("password", "found"), [("", "no password supplied"), (":wrong", "authentication failed")]
)
def test_a_password_that_is_missing_or_wrong_says_where_one_can_stand(server, password, found):
    with pytest.raises(RunError, match=f"{found}.*PGPASSWORD or ~/.pgpass"):
        read_records(PostgresStudy(server.url(password), "equal"))


def test_a_search_by_the_command_line_leaves_its_password_nowhere(server, home, environment):
    arguments = ("--name", "remote", "--workers", 1)
    with_password = environment | {"SE_SEARCH_STORAGE": server.url()}
    done = subprocess.run(
        [COMMAND, *RUN, "--trials", "2", *map(str, arguments)],
        cwd=home, env=with_password, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [COMMAND, *RUN, "--trials", "3", *map(str, arguments), "--storage", server.url()],
        cwd=home, env=environment, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    folder = home / "runs" / "remote"
    assert not (folder / "trials.db").exists()
    texts = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    texts += [done.stdout.encode(), done.stderr.encode()]
    assert not any(QUOTED.encode() in text for text in texts)
    assert any(b"***" in text for text in texts)  # where a command was kept

    refused = subprocess.run(
        [COMMAND, "report", "remote"],
        cwd=home, env=environment, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert refused.returncode != 0
    assert "no password supplied" in refused.stderr
    for known in (with_password, environment | {"PGPASSWORD": "se cr@t:1"}):
        for command in ("report", "status"):
            done = subprocess.run(
                [COMMAND, command, "remote"],
                cwd=home, env=known, capture_output=True, text=True, timeout=240,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
    assert "3" in done.stdout
