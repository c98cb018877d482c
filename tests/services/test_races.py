"""Several processes that begin the same thing at the same moment."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

NUM_PROCESSES = 4
TESTS = Path(__file__).parents[1]
BEGIN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
folder = Path(sys.argv[2])
{imports}
print("ready", flush=True)
sys.stdin.readline()
{body}
sys.stdin.readline()  # what has been taken is kept until all others have tried
"""
TAKE_RUN = (
    "from se_search.errors import RunBusyError\nfrom se_search.store.run_folder import RunFolder",
    "try:\n"
    "    lock = RunFolder(folder / 'runs' / 'new').lock()\n"
    "    print('taken', flush=True)\n"
    "except RunBusyError:\n"
    "    print('busy', flush=True)",
)
TAKE_LOG = (
    "from se_search.errors import RunError\nfrom se_search.store.training_log import TrainingLog",
    "try:\n"
    "    log = TrainingLog(folder / 'new' / 'log.jsonl', {}, {}).__enter__()\n"
    "    print('taken', flush=True)\n"
    "except RunError as error:\n"
    "    assert 'another process' in str(error)\n"
    "    print('busy', flush=True)",
)
DECODE = (
    "from support.data_sets import prepare_fashion",
    "print(prepare_fashion(folder, folder / 'data').info.fingerprint, flush=True)",
)


def race(folder, what):
    """Let processes begin at once; return what each printed."""
    script = BEGIN.format(imports=what[0], body=what[1])
    command = [sys.executable, "-c", script, str(TESTS), str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    with ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen(command, **pipes)) for _ in range(NUM_PROCESSES)
        ]
        for process in processes:
            stack.callback(process.kill)
        assert [process.stdout.readline() for process in processes] == ["ready\n"] * NUM_PROCESSES
        for process in processes:
            process.stdin.write("\n")
        printed = [process.stdout.readline().strip() for process in processes]
        for process in processes:
            process.stdin.write("\n")
        assert [process.wait(600) for process in processes] == [0] * NUM_PROCESSES
        return printed


@pytest.mark.parametrize("what", [TAKE_RUN, TAKE_LOG], ids=["run", "log"])
@pytest.mark.parametrize("attempt", range(3))
def test_one_process_of_several_takes_a_new_folder_and_the_others_are_refused(
    tmp_path, what, attempt
):
    assert sorted(race(tmp_path, what)) == ["busy"] * (NUM_PROCESSES - 1) + ["taken"]


def test_several_processes_that_decode_the_same_images_get_the_same_arrays(tmp_path):
    from support.data_sets import prepare_fashion, write_idx_files

    write_idx_files(tmp_path / "data")
    prints = race(tmp_path, DECODE)
    (folder,) = (tmp_path / "cache" / "arrays").iterdir()
    names = [f"{part}_{kind}.npy" for part in ("test", "train") for kind in ("images", "labels")]
    assert sorted(path.name for path in folder.iterdir()) == ["fingerprint.json", *names]
    write_idx_files(tmp_path / "alone" / "data")
    alone = prepare_fashion(tmp_path / "alone", tmp_path / "alone" / "data").info.fingerprint
    assert prints == [alone] * NUM_PROCESSES
