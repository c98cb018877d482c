"""What commands print and write: under any name, in any terminal, to any reader.

Nothing is trained. What needs a process of its own (a closed pipe, an encoding, a folder without
rights, a killed search) starts one; the other commands run in this process.
"""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from support.commands import COMMAND, call_here
from support.full_disk import largest_file
from support.made_up_effects import SPACE, Truth, draw_candidates, train
from support.names import ODD_NAMES
from support.run_folders import begin_run, store_trials
from support.sessions import MadeUpSessions
from typer.main import get_command
from typer.testing import CliRunner

from se_search.cli import app, main
from se_search.commands.options import SearchOptions
from se_search.commands.search import search
from se_search.errors import RunBusyError
from se_search.record import Evaluation
from se_search.report.display import QuietDisplay, make_display
from se_search.report.event import KEYS
from se_search.store.files import read_yaml, write_yaml
from se_search.store.run_folder import RunFolder


def search_made_up(runs_dir, trials):
    """Search digits with made-up trainings; return the run's folder."""
    options = SearchOptions(
        space="stages", data="digits", epochs=1, trials=trials, name="run", runs_dir=runs_dir
    )
    sessions = MadeUpSessions(
        lambda assignment: Evaluation(
            0.5 + int(assignment.candidate.key, 16) % 97 / 1_000, 0.5, (), b"\x80", 1.0
        )
    )
    return search(options, QuietDisplay(), sessions).folder


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return search_made_up(tmp_path_factory.mktemp("template"), 4).path


@pytest.fixture
def run(template, tmp_path):
    return Path(shutil.copytree(template, tmp_path / "run"))


def invoke(*arguments, expect=0, **options):
    outcome = CliRunner(**options).invoke(app, list(map(os.fspath, arguments)))
    assert outcome.exit_code == expect, outcome.output + repr(outcome.exception)
    return outcome


def start(*arguments, environment=None, **options):
    return subprocess.run(
        [COMMAND, *map(os.fspath, arguments)],
        env=os.environ | (environment or {}),
        capture_output=True,
        timeout=120,
        **options,
    )


# Names


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_run_is_reported_in_a_folder_of_any_name(template, tmp_path, name):
    folder = Path(shutil.copytree(template, tmp_path / name / "run"))
    (folder / "trials.csv").unlink()
    report = json.loads(invoke("report", folder, "--json").stdout)
    assert report["unwritten"] == []
    assert report["run"] == str(folder)
    assert (folder / "trials.csv").read_bytes() == (template / "trials.csv").read_bytes()


def test_names_of_any_kind_in_a_runs_configuration_are_reported(run):
    config = read_yaml(run / "config.yaml")
    name = " ".join(ODD_NAMES)
    config["identity"]["data"]["name"] = f"folder:/{name}"
    config["search"] |= {"space": name, "recipe": name}
    config["command"] = ["se-search", "run", "--data", f"folder:/{name}"]
    write_yaml(run / "config.yaml", config)
    assert "Not written" not in invoke("report", run).stdout
    checklist = (run / "checklist.md").read_text()
    assert checklist.count("\n#") == 3  # the headings of the checklist, and no line of a name
    assert "caf\\xe9" in checklist


def test_a_search_runs_and_goes_on_in_a_folder_that_has_all_odd_signs(tmp_path):
    runs = tmp_path / "q?m %3F #{x}\n[red]\udce9'\""
    for trials in (2, 3):
        folder = search_made_up(runs, trials)
    with folder.trials_csv.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 3


def test_the_command_that_is_suggested_can_be_pasted(template, tmp_path):
    folder = Path(shutil.copytree(template, tmp_path / "it's\na folder" / "copy"))
    (line,) = [
        line
        for line in invoke("report", folder).stdout.splitlines()
        if line.startswith("  ") and "se-search run" in line
    ]
    command = line.partition("se-search run ")[2]
    found = subprocess.check_output(["bash", "-c", f"printf '%s\\0' {command}"], text=True)
    words = found.split("\0")
    assert words[words.index("--runs-dir") + 1] == str(folder.parent)
    assert words[words.index("--name") + 1] == "copy"


def test_a_folder_that_no_run_can_have_is_to_be_renamed_before_it_goes_on(template, tmp_path):
    folder = Path(shutil.copytree(template, tmp_path / "it's a run"))
    text = invoke("report", folder).stdout
    assert "se-search run" not in text
    assert "the folder needs another name first" in text


# Folders and files that can't be written


# The first part imports everything, for which rights may be needed: on a run that is locked.
WITHOUT_RIGHTS = """
import os, sys
from pathlib import Path
from typer.testing import CliRunner
from se_search.cli import app, main
from se_search.store.run_folder import RunFolder
folder, *arguments = sys.argv[1:]
with RunFolder(Path(folder, "run")).lock():
    CliRunner().invoke(app, [word.replace("FOLDER", folder) for word in arguments])
if os.geteuid() == 0:
    os.setuid(65534)  # nobody: no rights to write are left to whoever runs the tests as root
read_only = os.environ["READ_ONLY"]
sys.argv = ["se-search", *(word.replace("FOLDER", read_only) for word in arguments)]
main()
"""


@pytest.fixture
def read_only(template):
    """Return a run in a folder that all may read and nobody may write to."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        run = Path(shutil.copytree(template, Path(name) / "run"))
        for path in (run / "correct", run):
            os.chmod(path, 0o555)
        yield run
        for path in (run, run / "correct"):
            os.chmod(path, 0o755)


@pytest.fixture
def call_without_rights(template, tmp_path, read_only):
    """Call a command on ``FOLDER/run``, which is read-only."""
    shutil.copytree(template, tmp_path / "run")

    def call(*arguments):
        return subprocess.run(
            [sys.executable, "-c", WITHOUT_RIGHTS, str(tmp_path), *arguments],
            env=os.environ | {"READ_ONLY": str(read_only.parent)},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return call


def test_a_read_only_run_is_reported_and_the_files_not_written_are_named_once(
    read_only, call_without_rights
):
    before = {path: path.stat().st_mtime_ns for path in read_only.rglob("*")}
    outcome = call_without_rights("report", "FOLDER/run")
    assert outcome.returncode == 2
    assert re.fullmatch(
        rf"se-search: \d+ files can't be written, among them {read_only}/report.html: "
        r"Permission denied\n",
        outcome.stderr,
    )
    assert "Nothing can be said: " in outcome.stdout
    (line,) = [line for line in outcome.stdout.splitlines() if "ritten" in line]
    assert line.startswith(f"Not written (Permission denied): {read_only}/report.html, ")
    assert {path: path.stat().st_mtime_ns for path in read_only.rglob("*")} == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("confirm", "FOLDER/run"),
        ("run", "--space", "stages", "--data", "digits", "--name", "run", "--runs-dir", "FOLDER"),
    ],
)
def test_a_read_only_run_is_not_continued(read_only, call_without_rights, arguments):
    outcome = call_without_rights(*arguments)
    assert outcome.returncode == 2
    assert outcome.stderr == f"se-search: {read_only} can't be written to: Permission denied\n"


def test_files_that_can_not_be_written_are_said_in_json_too(run, tmp_path):
    (run / "pareto.csv").unlink()
    (run / "pareto.csv").mkdir()
    outcome = call_here("report", run, "--json", folder=tmp_path, environment=os.environ)
    event = json.loads(outcome.stdout)
    assert event["unwritten"] == [{"path": f"{run}/pareto.csv", "reason": "Is a directory"}]
    assert f"{run}/pareto.csv" not in event["files"]
    assert outcome.returncode == 2
    assert outcome.stderr == f"se-search: {run}/pareto.csv can't be written: Is a directory\n"


def test_a_report_that_finds_a_full_disk_can_be_made_later(run, tmp_path):
    with largest_file(100_000):  # bytes: more than SQLite takes, and less than the page
        outcome = call_here("report", run, folder=tmp_path, environment=os.environ)
    assert outcome.returncode == 75
    assert "Nothing can be said: " in outcome.stdout
    assert "Written to " in outcome.stdout
    assert "a file may have 100,000 by the limit of this shell" in outcome.stderr
    invoke("report", run)


def test_output_to_a_folder_that_is_not_there_makes_it(tmp_path):
    invoke("cost", "--csv", tmp_path / "new" / "deep" / "costs.csv")
    assert (tmp_path / "new" / "deep" / "costs.csv").is_file()
    invoke("show", "resnet20_bottleneck", "--output", tmp_path / "other" / "x.png")
    assert {path.name for path in (tmp_path / "other").iterdir()} == {"x.png", "x.pdf"}


def test_output_to_where_no_folder_can_be_is_one_sentence(tmp_path, call_main):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "costs.csv"
    code, errors = call_main("cost", "--csv", path)
    assert (code, errors) == (2, f"se-search: {path} can't be written: Not a directory\n")


@pytest.fixture
def call_main(monkeypatch, capsys):
    """Run the command line as a program does, but in this process; return its code and errors."""

    def call(*arguments):
        handler = signal.getsignal(signal.SIGINT)
        monkeypatch.setattr(sys, "argv", ["se-search", *map(os.fspath, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        signal.signal(signal.SIGINT, handler)
        return caught.value.code or 0, capsys.readouterr().err

    return call


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--recipe", "/no/such.yaml"),
        ("run", "--space", "/no/such.yaml"),
        ("run", "--space", 300 * "x"),
        ("cost", "--sites", "/no/such.yaml"),
        ("cost", "--space", "/no/such.yaml"),
        ("report", "/no/such/run"),
        ("report", 300 * "x"),
        ("reproduce", "/no/such/study"),
        ("benchmark", "samplers", "--table", "/no/such.csv"),
        ("run", "--runs-dir", "/dev/null", "--data", "digits"),
    ],
)
def test_what_is_not_there_is_one_sentence_without_the_systems_numbers(call_main, arguments):
    code, errors = call_main(*arguments)
    assert code == 2
    assert errors.startswith("se-search: ")
    assert errors.count("\n") == 1
    assert "Errno" not in errors


# A run that another process works on, and one that was killed


def test_a_busy_run_names_the_process(run):
    with (
        RunFolder(run).lock(),
        pytest.raises(
            RunBusyError, match=rf"another se-search \(process {os.getpid()} on \S+\) is"
        ),
    ):
        RunFolder(run).lock()


def test_a_report_of_a_busy_run_is_made(run):
    with RunFolder(run).lock():
        assert "This rests on " in invoke("report", run).stdout


SEARCH_AND_DIE = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from se_search.record import Evaluation
from se_search.report.event import KEYS
from se_search.report.display import QuietDisplay
from se_search.commands.options import SearchOptions
from se_search.commands.search import search
from support.sessions import MadeUpSessions
done = []
def evaluate(assignment):
    if len(done) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    done.append(assignment)
    return Evaluation(0.5, 0.5, (), bytes([128]), 1.0)
search(SearchOptions(space="stages", data="digits", epochs=1, trials=4, name="run",
                     runs_dir=Path(sys.argv[1])), QuietDisplay(), MadeUpSessions(evaluate))
"""


def test_a_search_that_was_killed_goes_on_and_leaves_what_an_undisturbed_one_leaves(
    tmp_path, template
):
    support = Path(__file__).parents[1]
    command = [sys.executable, "-c", SEARCH_AND_DIE, tmp_path, support]
    assert subprocess.run(command, timeout=120).returncode == -signal.SIGKILL
    with subprocess.Popen(["true"]) as dead:
        (tmp_path / "run" / f".{dead.pid}-00000000.tmp").touch()
    folder = search_made_up(tmp_path, 4)
    assert {path.name for path in folder.path.iterdir()} == {
        path.name for path in template.iterdir()
    }
    with folder.trials_csv.open(newline="") as file:
        assert [row["state"] for row in csv.DictReader(file)] == ["COMPLETE"] * 4


# Terminals and readers


def test_a_reader_that_goes_away_is_no_error(template):
    read_end, write_end = os.pipe()
    os.close(read_end)
    for arguments in (["spaces"], ["report", template]):
        process = subprocess.run(
            [COMMAND, *map(str, arguments)], stdout=write_end, stderr=subprocess.PIPE, timeout=120
        )
        assert (process.returncode, process.stderr) == (0, b"")
    os.close(write_end)


def test_an_error_goes_nowhere_where_standard_error_is_closed():
    script = 'exec "$0" cost --space nowhere 2>&-'
    outcome = subprocess.run(["bash", "-c", script, COMMAND], stdout=subprocess.PIPE, timeout=120)
    assert (outcome.returncode, outcome.stdout) == (2, b"")


def test_a_full_disk_behind_standard_output_is_one_sentence():
    with open("/dev/full", "wb") as full:
        outcome = subprocess.run([COMMAND, "spaces"], stdout=full, stderr=subprocess.PIPE)
    assert outcome.returncode == 75
    assert outcome.stderr == b"se-search: the output can't be written: No space left on device\n"


def test_a_terminal_without_unicode_gets_every_command_in_its_own_signs(template, tmp_path):
    folder = Path(shutil.copytree(template, tmp_path / "caf\udce9 ±"))
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
                  "PYTHONIOENCODING": "ascii", "COLUMNS": "80"}  # fmt: skip
    outcome = start("report", folder, environment=ascii_only)
    assert (outcome.returncode, outcome.stderr) == (0, b"")
    assert "caf\\xe9" in outcome.stdout.decode("ascii")
    for line in outcome.stdout.decode("ascii").splitlines():
        assert len(line) <= 80 or line.startswith("Written") or "se-search" in line


PRINTS = """
import os
import torch
from torch import nn

class Unit(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch = nn.Conv2d(8, 8, 3, padding=1)
    def forward(self, x):
        print("{[ forward")
        return torch.relu(x + self.branch(x))

class Prints(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        print("built")
        os.write(1, b"from C\\n")
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.units = nn.Sequential(Unit())
        self.head = nn.Linear(8, num_classes)
    def forward(self, x):
        return self.head(self.units(self.stem(x)).mean((2, 3)))
"""


def test_json_stands_alone_whatever_a_network_prints(tmp_path):
    (tmp_path / "prints.py").write_text(PRINTS)
    (tmp_path / "sites.yaml").write_text("sites: [{stage: 2, standard: {after: units.0.branch}}]\n")
    outcome = start("cost", "--backbone", "prints:Prints", "--sites", "sites.yaml", "--allow-code",
                    "--json", cwd=tmp_path)  # fmt: skip
    assert len(json.loads(outcome.stdout)) == 2
    assert {b"built", b"from C", b"{[ forward"} <= set(outcome.stderr.splitlines())


def test_json_of_a_report_is_what_the_csv_files_say(template, tmp_path):
    import numpy as np

    rng = np.random.default_rng(11)
    truth = Truth(rng, main=0.3, pairs=0.1, deviation=0.1)
    folder = begin_run(tmp_path / "run", SPACE, epochs=4)
    trials = train(rng, truth, draw_candidates(rng, 30))
    store_trials(folder, trials)
    config = folder.read_config()
    recorded = read_yaml(template / "config.yaml")["identity"]
    config["identity"] |= {name: recorded[name] for name in ("recipe", "data", "seed")}
    folder.write_config(config)
    event = json.loads(invoke("report", folder.path, "--json").stdout)
    invoke("effects", folder.path)
    for name, path in (("front", folder.pareto_csv), ("effects", folder.effects_csv)):
        table = pd.read_csv(path, dtype=object, keep_default_na=False)
        assert [list(row) for row in event[name]] == [list(table.columns)] * len(table)
        for row, found in zip(event[name], table.to_dict("records"), strict=True):
            assert {key: "" if value is None else str(value) for key, value in row.items()} == found
    assert event["trials"] == {"COMPLETE": len(trials)}
    assert event["settings"]["objectives"] == ["accuracy", "params"]
    assert event["answer"]
    assert tuple(event) == KEYS


def test_effects_that_can_not_be_told_are_null_with_the_reason(template):
    event = json.loads(invoke("report", template, "--json").stdout)
    assert (event["effects"] is None) == (event["without_effects"] is not None)
    assert event["confirmation"] is None


@pytest.mark.parametrize(
    "name", ["[red]", "[/]", "[bold]x", ":smile:", "[link=http://x]y[/link]", "\\[a]"]
)
def test_markup_in_names_is_printed_as_it_stands(template, tmp_path, name):
    folder = Path(shutil.copytree(template, tmp_path / name.replace("/", "-") / "run"))
    assert f"Written to {folder}: " in invoke("report", folder).stdout
    space = tmp_path / "space.yaml"
    write_yaml(space, {"description": name, "choices": {"reduction": [16]}})
    assert name in invoke("spaces", "show", space).stdout


def test_a_message_of_an_error_controls_no_terminal(call_main):
    _, errors = call_main("report", "no\x1b[31mwhere")
    assert "no run at no\\x1b[31mwhere" in errors


# The words of the command line


def list_commands():
    pending = [((), get_command(app))]
    while pending:
        words, command = pending.pop()
        yield words
        for name, inner in getattr(command, "commands", {}).items():
            pending.append(((*words, name), inner))


@pytest.mark.parametrize("words", list(list_commands()), ids=" ".join)
def test_every_command_explains_itself(words):
    assert invoke(*words, "-h").stdout == invoke(*words, "--help").stdout


def test_the_version_is_the_packages():
    from importlib.metadata import version

    assert invoke("--version").stdout == invoke("version").stdout == f"{version('se-search')}\n"


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["reprot", "x"], "report"),
        (["spaces", "shw"], "show"),
        (["benchmark", "sampler"], "samplers"),
        (["run", "--trails", "3"], "--trials"),
        (["--verson"], "--version"),
    ],
)
def test_a_mistyped_word_suggests_the_nearest_one_once(arguments, nearest):
    text = invoke(*arguments, expect=2).output
    assert len(re.findall(rf"(?<![\w-]){nearest}(?![\w-])", text)) == 1
    assert len(re.findall("did you mean|possible options", text, re.IGNORECASE)) <= 1


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["run", "--sampler", "parteo"], "pareto"),
        (["run", "--space", "stagez"], "stages"),
        (["run", "--recipe", "quik"], "quick"),
        (["run", "--data", "digts"], "digits"),
        (["reproduce", "stage"], "stages"),
        (["cost", "--space", "gates"], "gate"),
    ],
)
def test_an_unknown_name_suggests_the_nearest_one_once(call_main, arguments, nearest):
    code, errors = call_main(*arguments)
    assert code == 2
    assert errors.count("did you mean") == 1
    assert f"(did you mean {nearest}?)" in errors


def test_an_unknown_run_suggests_the_nearest_one(template, call_main):
    _, errors = call_main("report", template.parent / "rum")
    assert f"(did you mean {template}?)" in errors


def test_the_shell_completes_names_without_importing_torch(tmp_path):
    script = (
        "import sys\nfrom se_search.cli import main\nsys.argv = ['se-search']\n"
        "try:\n    main()\nfinally:\n"
        "    assert not {'torch', 'optuna', 'pandas'} & set(sys.modules)\n"
    )
    asked = {"_SE_SEARCH_COMPLETE": "complete_bash", "COMP_CWORD": "3",
             "COMP_WORDS": "se-search run --space stages_"}  # fmt: skip
    command = [sys.executable, "-c", script]
    outcome = subprocess.run(command, env=os.environ | asked, capture_output=True, text=True)
    assert (outcome.stdout.split(), outcome.stderr) == (["stages_ratio"], "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell_can_be_shown(shell, monkeypatch):
    # Typer looks for the shell that it was called from, which a test need not have.
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    assert "_SE_SEARCH_COMPLETE" in invoke("--show-completion", shell).stdout


# How a search is shown


def test_a_terminal_that_can_not_go_back_gets_lines(monkeypatch):
    from se_search.report.display import LiveDisplay

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(make_display(), LiveDisplay)
    monkeypatch.setenv("TERM", "dumb")
    assert not isinstance(make_display(), LiveDisplay)
