"""The command ``gates``: which networks it looks at, and what it leaves in a run's folder."""

import pytest
from support.made_up_gates import make_reading
from support.trained_runs import SPACE, make_sessions, make_trained_run, make_trial

from se_search.commands.gates_look import choose_classes, look_at_gates
from se_search.commands.gates_options import GatesOptions
from se_search.errors import RunError
from se_search.report.run import Run
from se_search.store.kept_weights import KeptWeights

CANDIDATE = SPACE.parse("s2:4 s5:16")
RECORDS = [
    make_trial("no SE", 0.9),
    make_trial("no SE", 0.9, seed=1),
    make_trial("s2:4 s5:16", 0.7, seed=2),
    make_trial("s2:4 s5:16", 0.95, seed=1),
]


@pytest.fixture
def folder(tmp_path):
    return make_trained_run(tmp_path / "run", RECORDS)


def look(folder, sessions=None, **options):
    """Look at the gates of a run; return what was seen, what was read, and the notes."""
    tasks, notes = [], []

    def read(task, _log):
        tasks.append(task)
        digits = {"num_classes": 10, "candidate": task.candidate}
        return make_reading(lost=(3, 40), seed=task.replicate, **digits)

    asked = GatesOptions(**{"candidate": "s2:4 s5:16", "accelerator": "cpu"} | options)
    sessions = sessions or make_sessions()
    _, found, _ = look_at_gates(folder, asked, notes.append, sessions, read)
    return found, tasks, notes


def test_the_network_is_that_of_the_training_that_stands_for_the_candidate(folder):
    found, [task], _ = look(folder)
    assert (found.replicates, found.trained) == ((2,), (2,))
    assert task.weights == KeptWeights(folder.path).find(CANDIDATE).path.read_bytes()
    assert task.replicate == 2


def test_kept_weights_are_not_trained_again(folder):
    look(folder)
    sessions = make_sessions()
    found, _, _ = look(folder, sessions)
    assert sessions.trained == []
    assert found.trained == ()


def test_further_replicates_are_the_runs_and_leave_no_weights(folder):
    sessions = make_sessions()
    found, tasks, _ = look(folder, sessions, replicates=3)
    assert found.replicates == (2, 0, 1)
    assert [a.seed for a in sessions.trained] == [2, 0, 1]
    assert {a.epochs for a in sessions.trained} == {4}
    assert [task.replicate for task in tasks] == [2, 0, 1]
    assert len({task.weights for task in tasks}) == 3
    assert len(KeptWeights(folder.path).list_names()) == 1


def test_more_replicates_than_the_run_has_are_refused(folder):
    with pytest.raises(RunError, match="replicates 4: the run has 3 replicates"):
        look(folder, replicates=4)


def test_a_network_without_se_is_refused(folder):
    with pytest.raises(RunError, match="no SE has no gates to look at"):
        look(folder, candidate="no SE")


def test_blocks_and_all_are_replaced_and_so_many_images_gone_through(folder):
    _, [task], _ = look(folder, images=20)
    both = ("stage2.block1", "stage5.block1")
    assert task.replaced == (both[:1], both[1:], both)
    assert task.num_images == 20


def test_what_was_seen_is_in_the_runs_folder_and_in_python(folder):
    found, _, _ = look(folder)
    run = Run(folder)
    assert run.gates_found == found
    assert run.gates.place.tolist() == ["stage2.block1", "stage5.block1", "all"]
    assert len(run.plot.gates().axes) == 2
    assert (folder.path / "gates_by_class.csv").is_file()


def test_another_folder_takes_the_files(folder, tmp_path):
    look(folder, to=tmp_path / "elsewhere")
    assert not (folder.path / "gates.csv").exists()
    assert {path.name for path in (tmp_path / "elsewhere").iterdir()} == {
        *("gates.png", "gates.pdf", "gates.csv", "gates_by_class.csv", "gates.json")
    }


def test_before_there_are_gates_the_figure_says_what_makes_them(folder):
    assert Run(folder).gates.empty
    with pytest.raises(RunError, match="no gates have been looked at yet; se-search gates does"):
        Run(folder).plot.gates()


def test_a_note_is_told_once(folder):
    _, _, notes = look(folder, replicates=3)
    assert len(notes) == len(set(notes))


def test_four_classes_have_lines_unless_others_are_named():
    names = ["cat", "dog", "newt", "owl", "pike"]
    assert choose_classes(None, names, range(5)) == [0, 1, 3, 4]
    assert choose_classes(None, names, [2, 4]) == [2, 4]
    assert choose_classes("owl, 0", names, range(5)) == [3, 0]


def test_a_class_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(RunError, match=r"'cats' \(did you mean cat\?\) is no class"):
        choose_classes("cats", ["cat", "dog"], [0, 1])
    with pytest.raises(RunError, match="'7' is no class; they are cat, dog, or 0 to 1"):
        choose_classes("7", ["cat", "dog"], [0, 1])


def test_a_class_without_images_can_have_no_line():
    with pytest.raises(RunError, match="none of the images is of class 'dog'"):
        choose_classes("dog", ["cat", "dog"], [0])


def test_more_lines_than_can_be_told_apart_are_refused():
    with pytest.raises(RunError, match="more than 6 lines"):
        choose_classes(",".join("0123456"), list("abcdefg"), range(7))


def test_a_file_where_the_folder_should_be_is_refused_before_any_work(folder, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"/file is a file, and gates are written into a folder"):
        look(folder, to=tmp_path / "file" / "sub")
