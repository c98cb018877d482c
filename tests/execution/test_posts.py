"""What goes between a node and its coordinator: messages and files."""

import json
import os

import pytest

from se_search.errors import DataError, RunError
from se_search.execution.carried import Outbox, read_kept, write_kept
from se_search.execution.child import GoesOn
from se_search.execution.posts import (
    END_SECONDS,
    SILENT_SECONDS,
    Began,
    FolderBox,
    FolderPost,
    Kept,
    Orders,
    Paused,
    Printed,
    Ran,
)
from se_search.record import EpochRow

ROW = EpochRow(1, 3, 0.5, None, 0.25, 1.5)


@pytest.fixture
def box(tmp_path):
    return FolderBox(tmp_path / "messages" / "0")


def test_messages_come_over_a_folder_in_their_order_once(box):
    post = FolderPost(box.folder)
    messages = [Began("node1"), ROW, GoesOn(), Printed("ä\n"), Paused(2.5), Ran(1.0)]
    for message in messages[:2]:
        post.send(message)
    assert box.collect() == messages[:2]
    for message in messages[2:]:
        post.send(message)
    assert box.collect() == messages[2:]
    assert box.collect() == []


def test_a_message_that_is_not_written_whole_waits_for_its_rest(box):
    post = FolderPost(box.folder)
    post.send(ROW)
    file = box.folder / "messages.jsonl"
    text = file.read_bytes()
    file.write_bytes(text + text[:20])
    assert box.collect() == [ROW]
    file.write_bytes(text + text)
    assert box.collect() == [ROW]


def test_the_folder_of_messages_is_its_owners_alone_and_holds_no_pickle(box):
    assert box.folder.stat().st_mode & 0o777 == 0o700
    FolderPost(box.folder).send(ROW)
    box.order(3)
    for file in box.folder.iterdir():
        json.loads(file.read_text().splitlines()[0])


def test_an_order_is_taken_once_and_runs_down_by_the_clock_of_its_node():
    now = [100.0]
    orders = Orders(lambda: now[0])
    assert orders.seconds_left() is None
    orders.take(1, 30)
    now[0] = 110.0
    orders.take(1, 30)
    assert orders.seconds_left() == 20
    orders.take(2, 5)
    assert orders.seconds_left() == 5


def test_an_order_reaches_the_node_over_the_folder(box):
    now = [100.0]
    post = FolderPost(box.folder, lambda: now[0])
    assert post.seconds_left() is None
    box.order(30)
    now[0] += 2
    assert post.seconds_left() == 30
    box.order(5)
    now[0] += 0.5  # too soon to look again
    assert post.seconds_left() == 29.5
    now[0] += 1
    assert post.seconds_left() == 5


def test_a_training_ends_when_its_coordinator_gives_no_sign_of_life_any_more(box):
    now = [100.0]
    post = FolderPost(box.folder, lambda: now[0])
    beat = box.folder.parent / "alive"
    for number in range(10):
        beat.touch()
        os.utime(beat, ns=(number, number))
        now[0] += SILENT_SECONDS / 2
        assert post.seconds_left() is None
    now[0] += SILENT_SECONDS + 2
    assert post.seconds_left() == END_SECONDS
    now[0] += 10
    assert post.seconds_left() == END_SECONDS - 10


def test_a_folder_sends_no_data_and_names_the_remedy(box):
    with pytest.raises(DataError, match="share with the coordinator"):
        FolderPost(box.folder).fetch_parts("data")


def test_files_that_are_new_have_changed_or_are_gone_are_carried_once(tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    (there / "old").write_bytes(b"as it was")
    outbox = Outbox({"states": there})
    (there / "a").write_bytes(b"1")
    (there / ".unfinished").write_bytes(b"no")
    assert outbox.has_new("states")
    write_kept({"states": here}, outbox.collect())
    assert {path.name: path.read_bytes() for path in here.iterdir()} == {"a": b"1"}
    assert list(outbox.collect()) == []
    (there / "a").write_bytes(b"22")
    (there / "sub").mkdir()
    (there / "sub" / "b").write_bytes(b"3")
    write_kept({"states": here}, outbox.collect())
    assert (here / "a").read_bytes() == b"22"
    assert (here / "sub" / "b").read_bytes() == b"3"
    (there / "a").unlink()
    assert list(outbox.collect()) == [Kept("states", "a", None)]
    write_kept({"states": here}, [Kept("states", "a", None)])
    assert not (here / "a").exists()


def test_a_newer_state_comes_before_the_older_one_goes(tmp_path):
    (tmp_path / "1").write_bytes(b"1")
    outbox = Outbox({"states": tmp_path})
    (tmp_path / "1").unlink()
    (tmp_path / "2").write_bytes(b"2")
    assert [kept.name for kept in outbox.collect()] == ["2", "1"]


def test_only_what_a_training_goes_on_from_is_sent_to_its_node(tmp_path):
    folders = {"states": tmp_path / "s", "weights": tmp_path / "w"}
    for folder in folders.values():
        folder.mkdir()
        (folder / "file").write_bytes(b"x")
    assert read_kept(folders, ("states", "curves")) == [Kept("states", "file", b"x")]


def test_no_file_is_carried_out_of_its_folder(tmp_path):
    folders = {"states": tmp_path / "s"}
    for name in ("../other", "/etc/passwd", "a/../../b"):
        with pytest.raises(RunError, match="refused"):
            write_kept(folders, [Kept("states", name, b"x")])
    with pytest.raises(RunError, match="refused"):
        write_kept(folders, [Kept("keys", "a", b"x")])
    assert os.listdir(tmp_path) == []
