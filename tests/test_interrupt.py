"""Ctrl-C outside the loop of trainings."""

import subprocess
import sys

import pytest

HEAD = """\
import os, signal, sys, time
from se_search.interrupt import Interrupted, ignore_interrupts, raise_interrupted
raise_interrupted(lambda: print("told", file=sys.stderr))
def press():
    os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        pytest.param(
            "try:\n    press()\nexcept Interrupted:\n    print('raised')", "raised", id="once"
        ),
        pytest.param("ignore_interrupts()\npress()\nprint('done')", "done", id="at the end"),
    ],
)
def test_ctrl_c_is_raised_once_and_ignored_at_the_end(code, printed):
    ended = run(code)
    assert (ended.returncode, ended.stdout.strip()) == (0, printed)


def test_a_second_ctrl_c_ends_at_once():
    ended = run(
        "try:\n    press()\n"
        "finally:\n    print('tidies up', flush=True)\n    press()\n    print('on')"
    )
    assert (ended.returncode, ended.stdout.strip()) == (130, "tidies up")
    assert ended.stderr == ""


def test_ctrl_c_in_the_midst_of_an_import_ends_without_an_exception(tmp_path):
    (tmp_path / "library.py").write_text(
        "import os, signal\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "except BaseException:\n    os.abort()\n"
    )
    ended = run(f"sys.path.insert(0, {str(tmp_path)!r})\nimport library")
    assert (ended.returncode, ended.stderr) == (130, "told\n")


def run(code):
    return subprocess.run([sys.executable, "-c", HEAD + code], capture_output=True, text=True)
