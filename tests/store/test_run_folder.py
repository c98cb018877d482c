"""Run folders: names, the lock, the configuration, its format, and the refusal to mix runs."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from se_search.errors import RunBusyError, RunChangedError, RunError
from se_search.store.run_folder import RunFolder

IDENTITY = {"epochs": 4, "space": {"granularity": "stage", "sites": "all"}, "seed": 0}


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder.named(tmp_path, "a_run")
    folder.path.mkdir()
    return folder


@pytest.mark.parametrize("name", ["a", "7", "stages_ratio", "2026-11-24_r16.b", "a..b", 64 * "A"])
def test_a_run_lies_under_its_name(name):
    assert RunFolder.named(Path("runs"), name).path == Path("runs") / name


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../up", "a/b", "a/../../b", "/tmp", "a\\b", "C:a", "~", "a\0", "\0"),
        *(".hidden", "-option", "_x", "a b", " a", "a\n", "ä", "Ａ", "٣", "a*", "$a", 65 * "a"),
    ],
)
def test_other_names_are_refused(name):
    with pytest.raises(RunError) as caught:
        RunFolder.named(Path("runs"), name)
    assert str(caught.value).startswith(f"run name {name!r}: it takes up to 64 letters")


@given(st.text(max_size=70) | st.text(alphabet="./\\a-_~\0 ", max_size=70))
@example("..")
def test_no_name_leads_out_of_the_runs_folder(name):
    try:
        path = RunFolder.named(Path("runs"), name).path
    except RunError:
        return
    assert os.path.dirname(os.path.normpath(path)) == "runs"
    assert os.path.basename(path) == name


COMPLETE = {
    "identity": {
        "objectives": ["accuracy", "params"],
        "epochs": 4,
        "space": {"choices": {"reduction": [4]}, "block": {}},
        "backbone": {"name": "tiny"},
        "data": {"name": "digits", "validation": 10, "test": 10, "pool_share": 0.2},
        "recipe": {"split": {"draw": "replicate"}},
    },
    "search": {"space": "stages", "trials": 9, "workers": 1, "arguments": ["--space", "stages"]},
    "working_directory": "/",
}


def test_a_run_is_found_by_its_path_or_by_its_name(folder, tmp_path):
    folder.write_config(COMPLETE)
    assert RunFolder.existing(folder.path) == folder
    assert RunFolder.existing(Path("a_run"), runs_dir=tmp_path) == folder


@pytest.mark.parametrize("part", ["objectives", "epochs", "space", "backbone", "data"])
def test_a_run_whose_configuration_lacks_a_key_is_refused_by_the_key(folder, part):
    identity = {key: value for key, value in COMPLETE["identity"].items() if key != part}
    folder.write_config(COMPLETE | {"identity": identity})
    with pytest.raises(RunError, match=rf"config\.yaml is no .* has no 'identity\.{part}"):
        RunFolder.existing(folder.path)


def test_a_folder_that_is_no_run_is_not_what_was_meant(tmp_path):
    (tmp_path / "run" / "config.yaml").mkdir(parents=True)
    with pytest.raises(RunError) as caught:
        RunFolder.existing(tmp_path / "run")
    assert "did you mean" not in str(caught.value)


def test_a_place_that_is_no_run_is_named_once(tmp_path):
    with pytest.raises(RunError) as caught:
        RunFolder.existing(tmp_path / "nowhere")
    assert str(caught.value).count("nowhere") == 1


def test_a_folder_without_a_configuration_is_no_run(folder, tmp_path):
    with pytest.raises(RunError, match=r"no run at a_run nor at .*: there is no config\.yaml"):
        RunFolder.existing(Path("a_run"), runs_dir=tmp_path)


def test_everything_of_a_run_lies_in_its_folder(folder):
    files = [folder.database, folder.config_file, folder.trials_csv, folder.pareto_csv]
    files += [folder.pareto_png, folder.pareto_pdf, folder.effects_pdf, folder.confirmation_pdf]
    files += [folder.worker_log, folder.correct_file(7)]
    assert [file.relative_to(folder.path).as_posix() for file in files] == [
        "trials.db",
        "config.yaml",
        "trials.csv",
        "pareto.csv",
        "pareto.png",
        "pareto.pdf",
        "effects.pdf",
        "confirmation.pdf",
        "worker.log",
        "correct/00007.bits",
    ]


def test_a_lock_makes_the_folder_with_all_its_parents(tmp_path):
    folder = RunFolder.named(tmp_path / "far" / "away", "a_run")
    with folder.lock():
        assert folder.correct_file(0).parent.is_dir()


def test_a_second_lock_is_refused_while_the_first_one_is_held(folder):
    with folder.lock(), pytest.raises(RunBusyError, match=r"a_run; wait for it, stop it, or"):
        folder.lock()


def test_a_lock_ends_with_its_block(folder):
    lock = folder.lock()
    with lock:
        pass
    with folder.lock():
        pass


def test_a_lock_ends_with_a_failure_inside_its_block(folder):
    lock = folder.lock()
    with pytest.raises(ZeroDivisionError), lock:
        1 / 0  # noqa: B018  # it is there to fail
    with folder.lock():
        pass


def test_a_block_that_fails_with_nothing_written_leaves_no_folder(tmp_path):
    folder = RunFolder.named(tmp_path / "some" / "runs", "a")
    with pytest.raises(ZeroDivisionError), folder.lock():
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def write_and_fail(file):
    file.write_text("why")
    raise ZeroDivisionError


def test_a_block_that_fails_leaves_folders_that_were_there_and_what_was_written(tmp_path):
    folder = RunFolder.named(tmp_path / "runs", "a")
    (tmp_path / "runs").mkdir()
    with pytest.raises(ZeroDivisionError), folder.lock():
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == [tmp_path / "runs"]
    folder.path.mkdir()
    with pytest.raises(ZeroDivisionError), folder.lock():
        raise ZeroDivisionError
    assert folder.path.is_dir()
    other = RunFolder.named(tmp_path / "runs", "b")
    with pytest.raises(ZeroDivisionError), other.lock():
        write_and_fail(other.worker_log)
    assert other.worker_log.read_text() == "why"


def test_another_run_can_be_locked_at_the_same_time(folder, tmp_path):
    with folder.lock(), RunFolder.named(tmp_path, "another").lock():
        pass


def test_another_process_can_not_take_a_locked_run(folder):
    code = (
        "import pathlib, sys\n"
        "from se_search.errors import RunBusyError\n"
        "from se_search.store.run_folder import RunFolder\n"
        "try:\n"
        "    RunFolder(pathlib.Path(sys.argv[1])).lock()\n"
        "except RunBusyError:\n"
        "    print('busy')\n"
    )
    command = [sys.executable, "-c", code, str(folder.path)]
    with folder.lock():
        assert subprocess.check_output(command, text=True) == "busy\n"
    assert subprocess.check_output(command, text=True) == ""


def test_a_folder_that_can_not_be_made_is_a_run_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="a_run can't be written to: Not a directory") as caught:
        RunFolder.named(tmp_path / "file", "a_run").lock()
    assert not isinstance(caught.value, RunBusyError)


def test_a_configuration_is_read_back_as_it_was_written(folder):
    config = {
        "identity": IDENTITY
        | {"lr": 1e-05, "limits": None, "sites": ["stage2", "yes", "1e3", "07"]},
        "command": ["se-search", "run", "--data", "Bilder für alle: 画像 #1", "a\nb", "", "~"],
        "timeout": None,
        "share": 0.1 + 0.2,
        "is_found": True,
    }
    folder.write_config(config)
    assert folder.read_config() == config
    assert list(folder.read_config()) == list(config)


def test_a_run_that_has_not_started_has_an_empty_configuration(folder):
    assert folder.read_config() == {}


def test_a_configuration_that_can_not_be_written_leaves_the_old_one(folder):
    folder.write_config({"identity": IDENTITY})
    with pytest.raises(Exception, match="cannot represent"):
        folder.write_config({"identity": IDENTITY, "device": object()})
    assert folder.read_config() == {"identity": IDENTITY}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"identity: \xff\xfe", "can't be read"),
        (b"identity: [1", "can't be read"),
        (b"identity: {at: 2026-13-45}", "can't be read"),
        (b"identity: \x00", "can't be read"),
        (b"identity: !!python/object/apply:os.getcwd []", "can't be read"),
        (b"", "is no mapping"),
        (b"- identity", "is no mapping"),
        (b"format: 5\nhash: abc", "'identity' is not there"),
        (b"format: 5\nidentity: 5", "'identity' is not there"),
    ],
)
def test_a_configuration_that_is_none_is_refused_by_its_path(folder, content, message):
    folder.config_file.write_bytes(content)
    with pytest.raises(RunError) as caught:
        folder.read_config()
    assert str(caught.value).startswith(str(folder.config_file))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("format: 1\nidentity: {}", "a run of format 1"),
        ("format: 3\nidentity: {}", "a run of format 3"),
        ("format: two\nidentity: {}", "a run of format 'two'"),
        ("study: {epochs: 4}", "a run of format 1"),
        ("identity: {epochs: 4}", "a run that states no format"),
    ],
)
def test_a_folder_of_another_format_is_refused_in_one_sentence(folder, content, found):
    folder.config_file.write_text(content)
    with pytest.raises(RunError) as caught:
        folder.read_config()
    assert str(caught.value) == (
        f"{folder.path} holds {found}; this version of se-search reads formats 5 and 6"
    )


def test_a_new_run_does_not_start_in_a_folder_with_trials_of_format_1(folder):
    (folder.path / "study.db").touch()
    with pytest.raises(RunError, match="holds a run of format 1; this version"):
        folder.refuse_changes(IDENTITY)


def test_the_file_states_the_format(folder):
    folder.write_config({"identity": IDENTITY})
    assert folder.config_file.read_text().startswith("format: 6\n")


def test_a_new_run_takes_any_identity(folder):
    folder.refuse_changes(IDENTITY)


def test_a_run_goes_on_with_its_identity(folder):
    folder.write_config({"identity": IDENTITY})
    folder.refuse_changes(dict(reversed(IDENTITY.items())))


def test_a_run_does_not_go_on_with_another_identity(folder):
    folder.write_config({"identity": IDENTITY})
    changed = IDENTITY | {"epochs": 8, "space": {"granularity": "block", "sites": "all"}}
    with pytest.raises(RunChangedError) as caught:
        folder.refuse_changes(changed)
    assert str(caught.value).splitlines() == [
        f"{folder.path} holds another search, and trials of the two can't be compared:",
        "  epochs: 4 in the run, 8 asked for",
        '  space.granularity: "stage" in the run, "block" asked for',
        "Run the command that it was started with, or take another --name.",
    ]


def test_an_identity_that_was_changed_by_hand_is_not_continued_whatever_it_says_now(tmp_path):
    folder = RunFolder(tmp_path)
    digest = hashlib.sha256(json.dumps(IDENTITY, sort_keys=True).encode()).hexdigest()[:12]
    folder.write_config({"identity": IDENTITY, "hash": digest})
    folder.refuse_changes(IDENTITY)
    changed = {**IDENTITY, "epochs": 9}
    folder.write_config({"identity": changed, "hash": digest})
    with pytest.raises(RunError, match="changed by hand"):
        folder.refuse_changes(changed)
