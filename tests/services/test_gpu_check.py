"""The checks of ``make gpu``, rehearsed on a CPU: nearly all that is not CUDA's alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "names",
    [
        ["repeatability", "amp", "throughput", "inputs", "graphs"],
        # Not memory: on a CPU it hangs on which of two trainings asks for the last bytes first.
        ["resume", "packing"],
    ],
)
def test_each_check_of_a_gpu_passes_in_a_rehearsal(names, tmp_path):
    output = tmp_path / "figures.json"
    command = [
        *(sys.executable, str(TOP / "benchmarks/gpu_check/check.py"), "--device", "cpu"),
        *("--only", ",".join(names), "--output", str(output)),
    ]
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    content = json.loads(output.read_text())
    verdicts = {check["name"]: check["verdict"] for check in content["checks"]}
    assert verdicts == dict.fromkeys(names, "PASS")
    assert content["environment"]["accelerator"] == "cpu"
    assert not list(tmp_path.glob("se-search-gpu-check-*"))
