"""Files of a training's states: two at most, whole ones only."""

import pytest

from se_search.errors import UnwritableError
from se_search.store.checkpoint_files import CheckpointFiles


@pytest.fixture
def files(tmp_path):
    return CheckpointFiles(tmp_path / "states" / "one")


def test_the_newest_state_comes_first_and_two_are_kept(files):
    for step in (9, 10, 2_000):
        files.write(step, f"after {step}".encode())
    assert list(files.read()) == [b"after 2000", b"after 10"]
    assert len(list(files.folder.iterdir())) == 2


@pytest.mark.parametrize(
    "damage", [lambda old: old[:-1], lambda old: old[:-1] + b"?", lambda old: b""]
)
def test_a_state_that_was_damaged_is_passed_over(files, damage):
    files.write(1, b"the first")
    files.write(2, b"the second")
    newest = max(files.folder.iterdir())
    newest.write_bytes(damage(newest.read_bytes()))
    assert list(files.read()) == [b"the first"]


def test_there_are_no_states_before_the_first(files):
    assert list(files.read()) == []
    files.remove()


def test_removing_the_last_training_removes_the_folder_of_all(files):
    other = CheckpointFiles(files.folder.with_name("other"))
    files.write(1, b"state")
    other.write(1, b"state")
    files.remove()
    assert not files.folder.exists()
    assert list(other.read()) == [b"state"]
    other.remove()
    assert not files.folder.parent.exists()


def test_a_state_that_cannot_be_written_names_its_file(tmp_path):
    (tmp_path / "states").write_text("a file where the folder would be")
    with pytest.raises(UnwritableError, match="states"):
        CheckpointFiles(tmp_path / "states" / "one").write(1, b"state")
