"""Whether a command that is killed again and again ends with the trainings of an undisturbed one.

    python benchmarks/kill_loop.py run --kills 50
    python benchmarks/kill_loop.py confirm --kills 50
    python benchmarks/kill_loop.py reproduce --kills 50

The command trains on digits for an epoch with two workers, once undisturbed and then while random
signals hit its processes: SIGKILL, SIGTERM, SIGINT, or SIGINT twice, to the coordinator, a
training, the server that trainings are forked from, or the whole process group; three commands of
four have begun to train by then, the others are hit as they start. Whenever it has
ended before its trainings are made it is started again. Printed is what differs: trainings by
candidate, replicate, epochs and accuracy; trials that run or have failed; processes that live on
five seconds after their command; files that an undisturbed run does not have. Exit code 1 if
anything does.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from se_search.store.training_log import read_log
from se_search.store.trials import read_records

TARGETS = ("coordinator", "training", "server", "group")
SIGNALS = (("KILL",), ("TERM",), ("INT",), ("INT", "INT"))
ORPHAN_SECONDS = 5.0
SHARE_OF_TRAININGS = 0.75  # of commands that are let come to their trainings before a signal
PATIENCE_SECONDS = 1800.0  # for one command, on a machine that others use, too
MARK = "SE_SEARCH_KILL_LOOP"  # environment variable by which processes of a command are found
STUDY = """\
title: Two placements on digits
question: Does it help?
baseline: none
candidates: {none: all=none, all: all=standard:r16, first: stage2=standard:r16}
paper: {source: none, network: none, figures: {}}
claims: [all beats none, first beats none]
scales:
  desk: {backbone: resnet20_bottleneck, data: digits, recipe: recipe.yaml, replicates: 20}
"""
RECIPE = """\
description: Digits for an epoch
epochs: 1
batch_size: 64
optimizer: {name: sgd, lr: 0.1, momentum: 0.9}
split: {validation: 300}
"""

Training = tuple[str, int, int, float]
"""A finished training: candidate, seed of the replicate, epochs, accuracy."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A command, and where its trainings end up.

    Attributes:
        folder: in which it works.
        arguments: of se-search.
        prepare: arguments of a command that must have ended before; empty: none.
    """

    folder: Path
    arguments: tuple[str, ...]
    prepare: tuple[str, ...] = ()

    def trainings(self) -> Counter[Training]:
        """Return the finished trainings; a training that was made twice counts twice."""
        found: Counter[Training] = Counter()
        for database in self.folder.rglob("trials.db"):
            found.update(
                (record.candidate, record.seed, record.epochs, record.accuracy)
                for record in read_records(database)
                if record.accuracy is not None
            )
        for log in self.folder.rglob("*.jsonl"):
            if (
                log.name == "progress.jsonl"
            ):  # epochs that have ended, also of trainings that did not
                continue
            contents = read_log(log)
            found.update(
                (one.candidate, one.seed, one.epochs, one.history[-1]["accuracy"])
                for one in (contents.trainings if contents else ())
            )
        return found

    def unfinished(self) -> list[str]:
        """Describe each trial that has not ended, or has failed."""
        return [
            f"trial {record.number} is {record.state}: {record.reason or record.candidate}"
            for database in self.folder.rglob("trials.db")
            for record in read_records(database)
            if record.accuracy is None
        ]

    def files(self) -> set[str]:
        """Return the paths of all files in the folder, relative to it."""
        return {
            str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()
        }


@dataclass(slots=True)
class Command:
    """A command that runs, in a process group of its own.

    Attributes:
        process: the coordinator.
        mark: value of the environment variable that all of its processes have.
    """

    process: subprocess.Popen[bytes]
    mark: str

    @classmethod
    def start(cls, arguments: Sequence[str], folder: Path, log: Path) -> Command:
        """Start se-search in a folder; what it prints is appended to a file."""
        mark = uuid.uuid4().hex
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "se_search", *arguments],
                cwd=folder,
                env={**os.environ, MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return cls(process, mark)

    def list_processes(self) -> list[int]:
        """Return the processes of the command that live, by their marks."""
        wanted = f"{MARK}={self.mark}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                is_own = wanted in (entry / "environ").read_bytes().split(b"\0")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:  # ended meanwhile, or somebody else's
                continue
            if is_own and state not in "ZX":
                found.append(int(entry.name))
        return found

    def find(self, target: str) -> int | None:
        """Return a process to hit, or minus the process group; None: there is none now."""
        if target == "coordinator":
            return self.process.pid
        if target == "group":
            return -self.process.pid
        servers = [
            pid
            for pid in self.list_processes()
            if _parent(pid) == self.process.pid and b"multiprocessing.forkserver" in _words(pid)
        ]
        if target == "server":
            return next(iter(servers), None)
        return next((pid for pid in self.list_processes() if _parent(pid) in servers), None)

    def hit(self, target: str, names: Sequence[str]) -> bool:
        """Send signals to a target, a fifth of a second apart; tell whether there is one."""
        pid = self.find(target)
        if pid is None or self.process.poll() is not None:
            return False
        for number, name in enumerate(names):
            time.sleep(0.2 * bool(number))
            try:
                os.kill(pid, signal.Signals[f"SIG{name}"])
            except ProcessLookupError:
                return bool(number)
        return True

    def wait_for_training(self) -> None:
        """Wait until the command trains, or has ended."""
        while self.process.poll() is None and self.find("training") is None:
            time.sleep(0.2)

    def wait_for_orphans(self) -> list[str]:
        """Return what processes of the ended command live on after five seconds, and end them."""
        until = time.monotonic() + ORPHAN_SECONDS
        while (left := self.list_processes()) and time.monotonic() < until:
            time.sleep(0.1)
        lines = [f"process {pid} lives on: {_words(pid).decode()[:100]}" for pid in left]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return lines


@dataclass(slots=True)
class Report:
    """What kills did.

    Attributes:
        hits: how many signals hit which target.
        exits: how often the command ended with which exit code.
        faults: a line for each thing that should not be.
    """

    hits: Counter[str] = field(default_factory=Counter)
    exits: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def disturb(
    scenario: Scenario, draw: random.Random, num_kills: int, pause: float, report: Report, log: Path
) -> None:
    """Start a command until it succeeds, while signals hit it; the last ones run undisturbed.

    Args:
        scenario: the command.
        draw: draws targets, signals and moments.
        num_kills: how many signals of the report may have hit something.
        pause: longest time between two signals, in seconds.
        report: takes what happens.
        log: takes what the command prints.
    """
    for _ in range(10 * num_kills + 10):
        command = Command.start(scenario.arguments, scenario.folder, log)
        until = time.monotonic() + PATIENCE_SECONDS
        if report.hits.total() < num_kills and draw.random() < SHARE_OF_TRAININGS:
            command.wait_for_training()
        while report.hits.total() < num_kills:
            try:
                command.process.wait(draw.uniform(0, pause))
                break
            except subprocess.TimeoutExpired:
                target, names = draw.choice(TARGETS), draw.choice(SIGNALS)
                if command.hit(target, names):
                    report.hits[f"{'+'.join(names)} to the {target}"] += 1
        try:
            code = command.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            report.faults.append(f"the command does not end in {PATIENCE_SECONDS:g} seconds")
            os.killpg(command.process.pid, signal.SIGKILL)
            code = command.process.wait()
        report.exits[code] += 1
        report.faults += command.wait_for_orphans()
        if code == 0:
            return
    report.faults.append("the command never succeeds")


def compare(disturbed: Scenario, undisturbed: Scenario) -> Iterator[str]:
    """Yield a line for each difference of two finished commands."""
    found, wanted = disturbed.trainings(), undisturbed.trainings()
    yield from (f"training {training} was not made" for training in wanted - found)
    yield from (f"training {training} should not be there" for training in found - wanted)
    yield from disturbed.unfinished()
    yield from (
        f"file {name} should not be there"
        for name in sorted(disturbed.files() - undisturbed.files())
    )


def make_run(folder: Path, trials: int) -> Scenario:
    """Return a search on digits."""
    return Scenario(
        folder,
        (
            *("run", "--data", "digits", "--epochs", "1", "--trials", str(trials)),
            *("--workers", "2", "--name", "killed", "--quiet"),
        ),
    )


def make_confirmation(folder: Path, trials: int) -> Scenario:
    """Return the confirmation of a small search on digits, all looks of it."""
    candidates = ("all=standard:r16", "stage4=standard:r8")
    named = [f"--candidates=resnet20_bottleneck/{text}" for text in candidates]
    replicates = max(2, min(20, trials // (1 + len(candidates))))
    return Scenario(
        folder,
        (
            *("confirm", "runs/killed", "--until-decided", "--replicates", str(replicates)),
            *("--workers", "2", *named),
        ),
        prepare=make_run(folder, 6).arguments,
    )


def make_reproduction(folder: Path, trials: int) -> Scenario:
    """Return a study of three placements on digits, in which no claim is likely to be decided."""
    study = folder / "study"
    study.mkdir(parents=True, exist_ok=True)
    (study / "study.yaml").write_text(STUDY)
    (study / "recipe.yaml").write_text(RECIPE)
    replicates = max(2, min(20, trials // 3))
    return Scenario(
        folder,
        (
            *("reproduce", "study", "--force", "--replicates", str(replicates)),
            *("--workers", "2", "--store", "store"),
        ),
    )


SCENARIOS: dict[str, Callable[[Path, int], Scenario]] = {
    "run": make_run,
    "confirm": make_confirmation,
    "reproduce": make_reproduction,
}


def kill_again_and_again(
    make: Callable[[Path, int], Scenario], trials: int, kills: int, seed: int, pause: float
) -> Report:
    """Make a command's trainings undisturbed, and then disturbed until enough signals have hit."""
    report, draw = Report(), random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "printed"
        undisturbed = make(folder / "undisturbed", trials)
        _run_to_the_end(undisturbed, log)
        print(f"undisturbed: {undisturbed.trainings().total()} trainings", flush=True)
        round_number = 0
        while report.hits.total() < kills and not report.faults:
            disturbed = make(folder / f"disturbed-{round_number}", trials)
            _prepare(disturbed, log)
            disturb(disturbed, draw, kills, pause, report, log)
            report.faults += compare(disturbed, undisturbed)
            round_number += 1
            print(f"{report.hits.total()} signals so far, {len(report.faults)} faults", flush=True)
        if report.faults:
            print(log.read_text(errors="replace")[-4000:], file=sys.stderr)
    return report


def _run_to_the_end(scenario: Scenario, log: Path) -> None:
    _prepare(scenario, log)
    code = Command.start(scenario.arguments, scenario.folder, log).process.wait()
    assert code == 0, f"the undisturbed command ends with {code}: {log.read_text()[-2000:]}"


def _prepare(scenario: Scenario, log: Path) -> None:
    scenario.folder.mkdir(parents=True, exist_ok=True)
    if scenario.prepare:
        code = Command.start(scenario.prepare, scenario.folder, log).process.wait()
        assert code == 0, f"the first command ends with {code}: {log.read_text()[-2000:]}"


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        return b""


def main(arguments: Sequence[str] | None = None) -> None:
    """Kill a command, print what happened, and exit with 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=sorted(SCENARIOS))
    parser.add_argument("--kills", type=int, default=50, help="signals that hit a process")
    parser.add_argument("--trials", type=int, default=60, help="trainings of the command")
    parser.add_argument("--seed", type=int, default=0, help="of targets, signals and moments")
    parser.add_argument("--pause", type=float, default=20.0, help="most seconds between signals")
    options = parser.parse_args(arguments)
    report = kill_again_and_again(
        SCENARIOS[options.command], options.trials, options.kills, options.seed, options.pause
    )
    for name, number in sorted(report.hits.items()):
        print(f"{number:4} {name}")
    print("exit codes:", ", ".join(f"{c} ({n} times)" for c, n in sorted(report.exits.items())))
    for line in report.faults:
        print("FAULT", line)
    sys.exit(bool(report.faults))


if __name__ == "__main__":
    main()
