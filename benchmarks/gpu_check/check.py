"""Checks what no CPU can: trainings on one GPU, and all that surrounds them.

    python benchmarks/gpu_check/check.py --data-dir FOLDER --output gpu.json

Needs one GPU, Fashion-MNIST (the Debian package ``dataset-fashion-mnist``, or a copy) or
``--data digits``, no network, and five minutes. Prints each figure as soon as it is measured, with
its bound if it has one, and a table at the end. The exit code is 1 if a check failed or was not
run, and 2 if nothing could be checked.

- repeatability: the same training twice gives the same bits, and the CPU's accuracy;
- amp: trainings in bfloat16 and float16 against float32;
- resume: a training that was killed goes on to the bits of a whole one;
- packing: several trainings at a time on the GPU, against one at a time;
- throughput: a training by ``evaluate`` against a plain loop that does the same work;
- graphs: what a step takes with and without CUDA graphs;
- inputs: images a second of arrays and of a folder of JPEGs, against what a network takes;
- memory: trainings that run out of memory are tried again alone, or stop the search;
- latency: what SE adds to a batch through ResNet-50, with its noise floor.

``--device cpu`` rehearses all of it in small, without the GPU's bounds on times.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # the top of the checkout

import torch
import torchvision

from benchmarks.gpu_check.findings import Outcome, format_table
from benchmarks.gpu_check.inputs import check_inputs
from benchmarks.gpu_check.latency import check_latency
from benchmarks.gpu_check.loops import check_graphs, check_throughput
from benchmarks.gpu_check.memory import check_memory, python_path
from benchmarks.gpu_check.packing import check_packing
from benchmarks.gpu_check.resume import check_resume
from benchmarks.gpu_check.running import Check, run_checks
from benchmarks.gpu_check.setting import Setting, make_setting, temporary_folder
from benchmarks.gpu_check.trainings import check_amp, check_repeatability
from se_search.errors import SESearchError
from se_search.execution.child import warm_up, without_main
from se_search.training.hardware import describe_ground, read_driver
from se_search.training.task import PRELOAD

CHECKS = (
    Check("repeatability", check_repeatability),
    Check("amp", check_amp),
    Check("resume", check_resume),
    Check("packing", check_packing),
    Check("throughput", check_throughput),
    Check("memory", check_memory),
    Check("inputs", check_inputs),
    Check("graphs", check_graphs),
    Check("latency", check_latency),
)
DATA = ("fashion_mnist", "digits")
MINUTES = 10.0


def main(words: Sequence[str] | None = None) -> None:
    """Run the checks that are asked for and print what they find."""
    arguments = parse_arguments(words)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print("No GPU is visible; --device cpu rehearses the checks without one", file=sys.stderr)
        sys.exit(2)
    os.environ["PYTHONPATH"] = python_path(os.environ)  # so that all processes find this checkout
    with temporary_folder() as folder:
        with without_main():
            warm_up(PRELOAD, threads=1)
        try:
            setting = make_setting(
                arguments.device, arguments.data, arguments.data_dir, Path(folder)
            )
        except SESearchError as error:
            print(error, file=sys.stderr)
            sys.exit(2)
        environment = describe_environment(setting)
        say("; ".join(f"{name} {value}" for name, value in environment.items()))
        chosen = [check for check in CHECKS if check.name in arguments.only]

        def note(outcomes: Sequence[Outcome]) -> None:
            if arguments.output is not None:
                write(arguments.output, environment, outcomes)

        outcomes = run_checks(chosen, setting, 60 * arguments.minutes, say, note)
    say(f"\n{format_table(outcomes)}\n")
    wrong = [f"{each.name} ({each.verdict})" for each in outcomes if each.verdict != "PASS"]
    say(f"Not passed: {', '.join(wrong)}" if wrong else "All checks passed")
    sys.exit(1 if wrong else 0)


def describe_environment(setting: Setting) -> dict[str, Any]:
    """Return what the checks run on: device, driver, versions, data."""
    ground = describe_ground(setting.device())
    return {
        "device": ground.device,
        "driver": read_driver() if setting.is_cuda else None,
        "cuda": ground.cuda,
        "cudnn": ground.cudnn,
        "torch": ground.torch,
        "torchvision": torchvision.__version__,
        "packages": ground.packages,
        "python": sys.version.split()[0],
        "cores": setting.cores,
        "data": setting.data_name,
        "accelerator": setting.accelerator,
    }


def write(path: Path, environment: dict[str, Any], outcomes: Sequence[Outcome]) -> None:
    """Write all figures so far as JSON."""
    content = {"environment": environment, "checks": [each.as_plain_data() for each in outcomes]}
    path.write_text(json.dumps(content, indent=1) + "\n")


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    names = [check.name for check in CHECKS]
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: rehearse")
    parser.add_argument("--data", choices=DATA, help="small images; default: digits on a CPU")
    parser.add_argument("--data-dir", type=Path, help="folder with the files of Fashion-MNIST")
    parser.add_argument("--only", default=",".join(names), help="checks that run")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="that all of it may take")
    parser.add_argument("--output", type=Path, help="file that takes all figures as JSON")
    arguments = parser.parse_args(words)
    arguments.only = [name.strip() for name in arguments.only.split(",") if name.strip()]
    unknown = sorted(set(arguments.only) - set(names))
    if unknown or not arguments.only:
        parser.error(f"--only {','.join(unknown)}: the checks are {', '.join(names)}")
    if not arguments.minutes > 0:
        parser.error(f"--minutes {arguments.minutes:g} is not above 0")
    if arguments.data is None:
        arguments.data = DATA[0] if arguments.device == "cuda" else "digits"
    return arguments


if __name__ == "__main__":
    main()
