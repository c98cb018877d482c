"""Real supernets of digits: stopped, killed and continued to equal scores, and a ladder on them."""

import json
import os
import signal
import subprocess

from support.commands import COMMAND

from se_search.store.supernets import SupernetFiles, read_supernet_scores, read_supernets

RUN = ("run", "--data", "digits", "--space", "stages", "--epochs", "4", "--evaluator", "supernet")
TRIALS = ("--trials", "16", "--workers", "1")


def read(home, name):
    """Return what supernets said of each candidate, and of which images that was."""
    files = SupernetFiles(home / "runs" / name)
    supernets = read_supernets(files)
    scores = read_supernet_scores(files, supernets)
    splits = {one.seed: one.split_hash for one in supernets.supernets}
    return {(s.member, s.candidate): (s.accuracy, s.loss, s.value) for s in scores}, splits


def test_supernets_that_were_stopped_and_killed_go_on_to_the_scores_of_undisturbed_ones(
    call, home, environment
):
    call(*RUN, *TRIALS, "--name", "undisturbed")
    expected = read(home, "undisturbed")
    assert len({member for member, _ in expected[0]}) >= 2
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        process = subprocess.Popen(
            [COMMAND, *RUN, *TRIALS, "--name", "disturbed"],
            cwd=home,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        said = "Next: " if signal_number == signal.SIGTERM else "Rehearsed"
        for line in process.stdout:
            if line.startswith((said, "supernet ")):
                break
        os.killpg(process.pid, signal_number)
        process.communicate(timeout=120)
    call(*RUN, *TRIALS, "--name", "disturbed")
    assert read(home, "disturbed") == expected
    found = json.loads(call("ladder", "disturbed", "--json").stdout)
    assert [rung["verdict"] for rung in found["rungs"]] == ["untested"]
    assert "Nothing can be said of gains" in call("report", "disturbed").stdout
