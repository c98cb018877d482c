"""Real commands that are stopped, killed, or fail: trainings of digits, in processes."""

import os
import signal
import time
from pathlib import Path

import pytest
from support.commands import RUN
from support.optuna_studies import load_optuna_study
from support.processes import PATIENCE, list_below, wait_for

from se_search.errors import RunError
from se_search.store.trials import read_records


def wait_for_line(process, start_of_line):
    for line in process.stdout:
        if line.startswith(start_of_line):
            return line
    raise AssertionError(f"no line {start_of_line!r}: {process.stderr.read()}")


def states(home, name):
    study = load_optuna_study(home / "runs" / name / "trials.db")
    return [trial.state.name for trial in study.trials]


def wait_until_running(process, home, name, count):
    def runs():
        assert process.poll() is None, process.stdout.read() + process.stderr.read()
        try:
            records = read_records(home / "runs" / name / "trials.db")
        except RunError:  # the coordinator has not made the tables yet
            return False
        return sum(record.state == "RUNNING" for record in records) >= count

    wait_for(runs)


def test_ctrl_c_ends_cleanly_and_the_printed_command_continues_exactly(call, start, home):
    process = start("--trials", 6, "--name", "stopped", "--workers", 2)
    wait_for_line(process, "trial ")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    printed = errors[errors.index("se-search run") :].strip().split()
    assert set(states(home, "stopped")) <= {"COMPLETE", "WAITING"}  # if it takes over 30 s
    assert 1 <= len(states(home, "stopped")) < 6
    call(*printed[1:])
    assert states(home, "stopped") == ["COMPLETE"] * 6


def test_ctrl_c_before_the_first_trial_says_how_to_go_on(start, home):
    process = start("--trials", 2, "--name", "early")
    wait_for_line(process, "Data")  # PyTorch starts now, which takes seconds
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "se-search: interrupted. To go on: se-search run " in errors
    assert "Traceback" not in errors


def test_a_second_ctrl_c_stops_at_once_and_leaves_no_trial_running(call, start, home):
    process = start("--trials", 4, "--name", "twice", "--workers", 2, "--epochs", 200)
    wait_for_line(process, "Data")
    wait_until_running(process, home, "twice", 2)
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.3)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert states(home, "twice") == ["WAITING"] * 2


def test_sigterm_stops_at_once_with_its_own_exit_code(start, home):
    process = start("--trials", 4, "--name", "term", "--epochs", 200)
    wait_for_line(process, "Data")
    wait_until_running(process, home, "term", 1)
    # To the whole group, as a batch system, systemd and docker stop send it.
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 143
    assert set(states(home, "term")) <= {"COMPLETE", "WAITING"}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds children through /proc")
def test_a_killed_training_is_made_again_and_fails_no_trial(start, home):
    process = start("--trials", 3, "--name", "killed", "--workers", 1, "--epochs", 40)
    wait_for_line(process, "Data")
    wait_for((home / "runs" / "killed" / "progress.jsonl").exists)  # an epoch has ended
    # The fork server's children are trainings; the youngest process is the one that runs.
    os.kill(max(list_below(process.pid)), signal.SIGKILL)
    printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert states(home, "killed") == ["COMPLETE"] * 3
    assert "SIGKILL. It is tried again" in " ".join(printed.split())


def test_a_study_that_only_fails_stops_and_says_why(call, home, tmp_path):
    recipe = tmp_path / "wild.yaml"
    recipe.write_text(
        "epochs: 1\nbatch_size: 64\nsplit: {validation: 100}\n"
        "optimizer: {lr: 1.0e+30, momentum: 0.0}\n"
    )
    outcome = call(
        *RUN,
        "--recipe",
        recipe,
        "--trials",
        9,
        "--name",
        "wild",
        "--max-failures",
        2,
        "--workers",
        1,
        expect=5,
    )
    # Two are known as the fifth would begin: the lag of one worker is three trials.
    assert "4 trainings in a row failed; the last one: the loss is" in outcome.stderr
    assert states(home, "wild") == ["FAIL"] * 4
