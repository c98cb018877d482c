"""The room on a disk: what is reserved, what is refused, and what a full disk leaves whole.

A limit on the size of files stands for a full disk, so that no disk need be filled.
"""

import resource
import shutil
from contextlib import ExitStack

import pytest
from support.full_disk import largest_file
from support.searching import evaluation, made_up_accuracy, open_store, search

from se_search.errors import InfrastructureError, StorageError, UnwritableError, find_exit_code
from se_search.execution.storing import Room
from se_search.record import Evaluation
from se_search.store.checkpoint_files import CheckpointFiles
from se_search.store.files import write_bytes
from se_search.store.room import REPORT_BYTES, Reserve, describe_bytes, estimate_room
from se_search.store.run_folder import RunFolder
from se_search.store.trials import read_records


def test_a_reserve_takes_its_bytes_and_gives_them_back_once(tmp_path):
    path = tmp_path / ".reserve"
    with Reserve(path, size=1 << 20) as reserve:
        assert path.stat().st_blocks * 512 >= 1 << 20
        assert reserve.release()
        assert not path.exists()
        assert not reserve.release()
    with Reserve(path, size=1 << 20):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_reserve_that_a_killed_process_has_left_is_made_anew(tmp_path):
    (tmp_path / ".reserve").write_bytes(b"half")
    with Reserve(tmp_path / ".reserve", size=4096):
        assert (tmp_path / ".reserve").stat().st_size == 4096
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_for_the_reserve_is_refused_with_bytes_needed_and_free(tmp_path):
    with (
        largest_file(1000),
        pytest.raises(
            UnwritableError, match=r"\(4,096 bytes are needed, .* ulimit -f\)$"
        ) as caught,
        Reserve(tmp_path / ".reserve", size=4096),
    ):
        pass
    assert str(caught.value).startswith(f"{tmp_path} can't be written: File too large")
    assert find_exit_code(caught.value) == 75
    assert list(tmp_path.iterdir()) == []


def test_results_that_would_fill_the_disk_are_refused_before_anything_begins(tmp_path):
    with Reserve(tmp_path / ".reserve", size=4096) as reserve:
        reserve.refuse_lack(0)
        needed = 2 * shutil.disk_usage(tmp_path).total
        with pytest.raises(UnwritableError) as caught:
            reserve.refuse_lack(needed)
    words = f"{tmp_path} can't be written: No space left on device ({needed:,} bytes are needed, "
    assert str(caught.value).startswith(words)
    assert str(caught.value).endswith(" bytes are free on its disk)")
    assert find_exit_code(caught.value) == 75


def test_what_trials_take_is_less_than_the_estimate(tmp_path):
    """A history of 100 epochs, and bits of 10,000 images; an empty database takes 100 kB."""
    row = {"epoch": 1, "train_loss": 1 / 3, "accuracy": 1 / 3, "loss": 1 / 3}
    row |= {"test_accuracy": 1 / 3, "test_loss": 1 / 3}
    folder = RunFolder(tmp_path)
    search(
        folder.database,
        3,
        evaluate=lambda _: Evaluation(0.5, 0.5, (row,) * 100, bytes(1250), 1.0),
        keep=lambda number, result: write_bytes(folder.correct_file(number), result.correct),
    )
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    taken = sum(512 * path.stat().st_blocks for path in files)
    assert taken < estimate_room(3, 100, 10_000) - REPORT_BYTES // 2


def test_a_file_that_is_cut_off_by_a_full_disk_stays_as_it_was(tmp_path):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with largest_file(100), pytest.raises(UnwritableError, match="200 bytes are needed") as caught:
        write_bytes(path, bytes(200))
    assert find_exit_code(caught.value) == 75
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_state_that_finds_no_room_leaves_the_earlier_one(tmp_path):
    files = CheckpointFiles(tmp_path / "states")
    files.write(1, b"one")
    with largest_file(100), pytest.raises(UnwritableError):
        files.write(2, bytes(200))
    assert list(files.read()) == [b"one"]


def test_a_search_on_a_full_disk_stops_and_goes_on_as_an_undisturbed_one(tmp_path):
    """The disk is full as the second training has ended, until the reserve is given free."""
    undisturbed, _ = search(None, 4)
    path, released = tmp_path / "trials.db", []
    disk = ExitStack()

    def evaluate(assignment):
        if len(released) == 0 and len(read_records(path)) == 2:
            disk.enter_context(largest_file(1))
        return evaluation(made_up_accuracy(assignment))

    def release():
        released.append(1)
        disk.close()
        return True

    with pytest.raises(InfrastructureError, match=r"trials\.db can't be .* are stored: once"):
        search(path, 4, evaluate=evaluate, room=Room(release))
    assert [record.state for record in read_records(path)] == ["COMPLETE"] * 2
    continued, _ = search(path, 4)
    assert released == [1]
    assert continued == undisturbed


def test_a_result_that_can_not_be_stored_has_its_trial_wait(tmp_path):
    path = tmp_path / "trials.db"

    def evaluate(assignment):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        return evaluation(0.5)

    with (
        largest_file(resource.RLIM_INFINITY),
        pytest.raises(InfrastructureError, match="made again"),
    ):
        search(path, 3, evaluate=evaluate, room=Room(patience=0.0))
    with open_store(path) as store:
        assert [record.state for record in store.records] == ["WAITING"]


def test_what_a_trial_took_is_added_up_once_however_often_storing_it_was_tried(tmp_path):
    path = tmp_path / "trials.db"
    search(path, 1)
    with open_store(path) as store:
        before = store.record(0)
        for _ in range(2):
            after = store.complete(0, evaluation(before.accuracy))
    assert after == before


def test_a_database_on_a_full_disk_is_named_with_the_room_that_is_left(tmp_path):
    path, words = tmp_path / "trials.db", r"disk.* \([\d,]+ bytes are free on its disk\)"
    with (
        open_store(path) as store,
        pytest.raises(StorageError, match=words) as caught,
        largest_file(1),
        store.explaining_errors(),
    ):
        store.optuna_study.set_user_attr("a", "b" * 100_000)
    assert find_exit_code(caught.value) == 75


def test_bytes_are_told_with_two_digits_and_a_unit():
    told = [describe_bytes(number) for number in (0, 999, 1_000, 9_949, 10_400, 999_600, 2 * 10**9)]
    assert told == ["0 bytes", "999 bytes", "1.0 kB", "9.9 kB", "10 kB", "1.0 MB", "2.0 GB"]
