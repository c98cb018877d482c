"""The command line on scikit-learn's digits, in this process.

Stops, killed trainings and servers are in ``tests/services``; how a search goes on made-up
trainings is in ``tests/commands``.
"""

import dataclasses
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_digits
from support.commands import RUN, read_rows
from support.optuna_studies import load_optuna_study

import se_search
from se_search.errors import RunError
from se_search.models.catalogue import describe_backbone
from se_search.store.run_folder import RunFolder

COLUMNS = {
    "number",
    "state",
    "candidate",
    "key",
    "seed",
    "epochs",
    "accuracy",
    "loss",
    "params",
    "added_params",
    "macs",
    "seconds",
}

FIVE = (*RUN, "--objectives", "accuracy,params,macs", "--name", "five")


@pytest.fixture(scope="session")
def finished(call, home):
    """Return what a run of five trials printed, and its folder."""
    outcome = call(*FIVE, "--trials", 5)
    return outcome, home / "runs" / "five"


def test_a_run_leaves_its_files(finished):
    _, folder = finished
    names = {path.name for path in folder.iterdir()}
    assert names >= {"trials.db", "config.yaml", "trials.csv", "pareto.csv"}
    assert names >= {"pareto.png", "pareto.pdf"}


def test_trials_csv_has_a_row_a_trial_with_every_column(finished):
    rows = read_rows(finished[1] / "trials.csv")
    assert len(rows) == 5
    assert set(rows[0]) >= COLUMNS
    assert [int(row["number"]) for row in rows] == list(range(5))
    assert {row["state"] for row in rows} == {"COMPLETE"}
    assert len({(row["key"], row["seed"], row["epochs"]) for row in rows}) == 5


def test_no_trial_beats_a_front_member_in_everything(finished):
    """With one seed a candidate; on means otherwise."""
    trials = pd.read_csv(finished[1] / "trials.csv")
    means = trials.groupby("key")[["accuracy", "params", "macs"]].mean()
    for member in read_rows(finished[1] / "pareto.csv"):
        better = (
            (means.accuracy >= float(member["accuracy"]))
            & (means.params <= int(member["params"]))
            & (means.macs <= int(member["macs"]))
        )
        strictly = (
            (means.accuracy > float(member["accuracy"]))
            | (means.params < int(member["params"]))
            | (means.macs < int(member["macs"]))
        )
        assert not (better & strictly).any()


def test_the_figure_of_the_front_is_as_wide_as_two_columns(finished):
    with Image.open(finished[1] / "pareto.png") as image:
        image.load()
        assert image.width == 6.9 * 300


def test_the_config_tells_versions_hardware_and_the_real_split(finished):
    config = yaml.safe_load((finished[1] / "config.yaml").read_text())
    assert config["versions"]["torch"]
    assert config["hardware"]["accelerator"] in ("cpu", "cuda", "mps")
    assert config["identity"]["data"]["validation"] == 287  # a fifth of the 1,437 training images
    assert config["identity"]["objectives"] == ["accuracy", "params", "macs"]


def test_a_run_prints_a_line_a_trial_and_its_answer(finished):
    lines = finished[0].stdout.splitlines()
    assert sum(line.startswith("trial ") for line in lines) == 5
    assert "Nothing can be said: fewer than 8 trainings have ended." in lines
    assert not any("P(front)" in line for line in lines)
    assert "5 of 5 trials" in finished[0].stdout


def test_optuna_opens_the_same_file(finished):
    study = load_optuna_study(finished[1] / "trials.db")
    assert len(study.trials) == 5
    assert study.metric_names == ["accuracy", "params", "macs"]


def test_python_sees_the_run_as_data_frames(finished):
    run = se_search.open_run(finished[1])
    assert repr(run).startswith(f"{finished[1]}: Nothing can be said: fewer than 8 trainings")
    assert isinstance(run.trials, pd.DataFrame)
    # On a CPU, where nothing fails and no latency is measured.
    empty = ["reason", "driver", "cuda", "cudnn", "unrepeatable", "latency", "added_latency"]
    pd.testing.assert_frame_equal(
        run.trials.drop(columns=empty),
        pd.read_csv(finished[1] / "trials.csv").drop(columns=empty),
    )
    assert run.trials[empty].isna().all(axis=None)
    assert list(run.front.params) == sorted(run.front.params)
    assert run.front.candidate.tolist() == [
        row["candidate"] for row in read_rows(finished[1] / "pareto.csv")
    ]


def test_the_correct_images_of_a_trial_make_its_accuracy(finished):
    run = se_search.open_run(finished[1])
    for _, trial in run.trials.iterrows():
        assert np.mean(run.correct(trial.number)) == pytest.approx(trial.accuracy, abs=1e-12)


@pytest.fixture
def run(finished, environment, monkeypatch):
    monkeypatch.setenv("SE_SEARCH_CACHE", environment["SE_SEARCH_CACHE"])
    return se_search.open_run(finished[1])


def test_python_tells_which_images_a_trial_validates_on(run):
    """Of the 1,437 digits of the training part a fifth validates, class by class."""
    labels = load_digits().target[:1437]
    for record in run.records:
        images = run.validation_images(record.number)
        assert len(images) == len(set(images)) == len(run.correct(record.number))
        exact = len(images) * np.bincount(labels) / len(labels)
        assert (np.abs(np.bincount(labels[images]) - exact) < 1).all()


def test_trials_validate_on_the_same_images_if_their_split_hash_is_equal(run):
    drawn = {tuple(run.validation_images(record.number)) for record in run.records}
    assert len(drawn) == run.trials.split_hash.nunique() == run.trials.seed.nunique()


def test_images_that_have_changed_since_a_trial_are_refused(run):
    run.records[0] = dataclasses.replace(run.records[0], split_hash="0123456789ab")
    with pytest.raises(RunError, match=r"trial 0 was split as 0123456789ab, and .* split as"):
        run.validation_images(0)


def test_a_trial_without_an_evaluation_is_named(finished):
    with pytest.raises(RunError, match="there is no trial 99: the run has 5, 0 to 4"):
        se_search.open_run(finished[1]).correct(99)


def test_a_report_makes_the_same_files_again(finished, call):
    folder = finished[1]
    before = {name: (folder / name).read_bytes() for name in ("trials.csv", "pareto.csv")}
    for name in ("trials.csv", "pareto.csv", "pareto.png", "pareto.pdf"):
        (folder / name).unlink()
    outcome = call("report", folder)
    assert "Nothing can be said: " in outcome.stdout
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert (folder / "pareto.png").is_file()
    assert (folder / "pareto.pdf").is_file()
    assert f"Written to {folder}: report.html, report.md, pareto.png, " in outcome.stdout


def test_a_report_takes_a_runs_name(finished, call):
    assert "Nothing can be said: " in call("report", "five").stdout


def test_a_report_prints_its_front_if_asked_for(finished, call):
    text = call("report", "five", "--front").stdout
    front = pd.read_csv(finished[1] / "pareto.csv")
    for _, row in front[front.is_listed].iterrows():
        (line,) = [line for line in text.splitlines() if f" {row.params:,} " in line]
        assert line.strip("│ ").startswith(row.placement)


@pytest.fixture(scope="session")
def continued(finished, call, home, tmp_path_factory):
    """Return what a copy of the run prints that goes on by its answer's command, and its folder.

    The command stands as it is given, but for one trial more and ``--json``.
    """
    folder = tmp_path_factory.mktemp("continued")
    copy = Path(shutil.copytree(finished[1], folder / "runs" / "five"))
    report = json.loads(call("report", copy, "--json", folder=folder).stdout)
    command = report["answer"]["next_step"]["command"]
    words = shlex.split(command.replace("--trials 36", "--trials 6"))
    assert words[:4] == ["cd", str(home), "&&", "se-search"]  # where the search was begun
    return call(*words[4:], "--json"), copy


def test_the_next_command_of_a_run_goes_on_with_it(finished, continued, home):
    folder = continued[1]
    assert [path.name for path in folder.parent.iterdir()] == ["five"]
    assert [path.name for path in finished[1].parent.iterdir()] == ["five"]
    rows = read_rows(folder / "trials.csv")
    assert rows[:5] == read_rows(finished[1] / "trials.csv")
    assert len(rows) == 6


def test_json_is_an_object_a_line_each_trial_and_then_the_front(continued):
    outcome = continued[0]
    events = [json.loads(line) for line in outcome.stdout.splitlines()]
    names = [event["event"] for event in events if event["event"] != "estimate"]
    assert names == ["trial", "end"]
    assert events[-1]["front"][0]["params"] > 0
    assert outcome.stderr == ""


# What a quick command must not load, and the seconds of CPU that it may take: on a core that loads
# the libraries of a report in 1.4 s or less; on a slower one, in proportion.
QUICK = [
    (["--help"], ["optuna", "pandas", "matplotlib"], 1),
    (["run", "--help"], ["optuna", "pandas", "matplotlib"], 1),
    (["spaces"], ["optuna", "pandas", "matplotlib"], 1),
    (["cost"], ["optuna", "pandas", "matplotlib"], 1),
    (["benchmark", "samplers", "--help"], ["optuna", "pandas", "matplotlib"], 1),
    (["report", "five"], [], 3),
]


def find_slowness():
    """Return by how much this machine is slower now than the one for which limits are given."""
    script = (
        "import resource, pandas, scipy.stats, matplotlib.pyplot\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(used.ru_utime + used.ru_stime)\n"
    )
    command = [sys.executable, "-c", script]
    took = float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    return max(1.0, took / 1.4)


@pytest.mark.parametrize(("arguments", "more", "limit"), QUICK)
def test_quick_commands_import_no_torch_and_take_few_seconds_of_cpu(
    finished, home, environment, arguments, more, limit
):
    script = (
        "import resource, sys\n"
        "from se_search.cli import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        f"heavy = {{'torch', 'torchvision', 'pytorch_lightning', 'fvcore', *{more}}}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(used.ru_utime + used.ru_stime, file=sys.stderr)\n"
    )

    def measure():
        outcome = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            cwd=home,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert outcome.returncode == 0, outcome.stderr
        return float(outcome.stderr.splitlines()[-1])

    assert any(measure() < limit * find_slowness() for _ in range(4))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (["--epochs", "2"], "epochs: 1 in the run, 2 asked for"),
        (["--space", "reduction"], 'space.granularity: "stage" in the run, "network" asked for'),
        (["--backbone", "resnet18"], 'backbone.name: "resnet20_bottleneck" in the run, "resnet18"'),
        (["--objectives", "accuracy,params"], "objectives: "),
        (["--recipe", "cifar"], "recipe.batch_size: 64 in the run, 128 asked for"),
        (["--seed", "1"], "seed: 0 in the run, 1 asked for"),
    ],
)
def test_another_study_in_the_same_folder_is_refused_with_what_changed(
    finished, call, changes, line
):
    before = (finished[1] / "trials.csv").read_bytes()
    outcome = call(*FIVE, "--trials", 9, *changes, expect=4)
    assert line in outcome.stderr
    assert "--name" in outcome.stderr
    assert (finished[1] / "trials.csv").read_bytes() == before


def test_candidates_beyond_the_limits_are_not_priced_and_their_number_is_said(call, tmp_path):
    path = tmp_path / "limited.yaml"
    path.write_text("choices: {reduction: [16]}\nlimits: {added_params: 0.03}\n")
    outcome = call("cost", "--backbone", "resnet50", "--space", path, "--json")
    shares = [row["added_params_pct"] for row in json.loads(outcome.stdout)]
    assert 1 < len(shares) < 16
    assert max(shares) <= 3
    said = (
        f"Only candidates within the limits (added_params 0.03) are trained: {len(shares)}. "
        "The cheapest is no SE, with 0 added parameters and 0 added MACs.\n"
    )
    assert outcome.stderr == said
    assert said in call("spaces", "show", path, "--backbone", "resnet50").stdout
    csv = tmp_path / "costs.csv"
    call("cost", "--backbone", "resnet50", "--space", path, "--csv", csv)
    assert len(read_rows(csv)) == len(shares)


def test_a_few_allowed_candidates_of_a_huge_space_are_priced(call, tmp_path):
    path = tmp_path / "tight.yaml"
    choices = "{integration: [standard, pre], reduction: [4, 8, 16]}"
    limits = "{added_params: 0.0003}"
    path.write_text(f"granularity: block\nchoices: {choices}\nlimits: {limits}\n")
    outcome = call("cost", "--backbone", "resnet50", "--space", path, "--json")
    rows = json.loads(outcome.stdout)
    assert 1 < len(rows) == len({row["key"] for row in rows})
    assert max(row["added_params_pct"] for row in rows) <= 0.03
    assert f"are trained: {len(rows)}. The cheapest is no SE" in outcome.stderr


def test_limits_that_leave_nothing_are_refused_with_what_the_cheapest_costs(call, tmp_path):
    path = tmp_path / "nothing.yaml"
    path.write_text("choices: {none: false, reduction: [8, 16]}\nlimits: {added_params: 0.001}\n")
    for command in (["cost", "--space", path], ["spaces", "show", path], ["run", "--space", path]):
        refused = call(*command, expect=2).stderr
        assert "(added_params 0.001) leave no candidate on resnet20_bottleneck" in refused
        assert "the cheapest candidate adds" in refused


def test_a_run_that_another_process_works_on_is_refused(finished, call):
    with RunFolder(finished[1]).lock():
        outcome = call(*FIVE, "--trials", 9, expect=3)
    assert f"another se-search (process {os.getpid()} on " in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--space", "stagez"], ["'stagez'", "stages_ratio"]),
        (["--recipe", "slow"], ["'slow'", "quick"]),
        (["--backbone", "resnet5o"], ["resnet5o", "resnet50"]),
        (["--data", "mnist"], ["mnist", "fashion_mnist"]),
        (["--sampler", "magic"], ["'magic'", "tpe, nsga2, random, grid"]),
        (["--objectives", "accuracy"], ["accuracy,params"]),
        (["--trials", "0"], ["trials 0 is below 1"]),
        (["--promotion", "1x1,2"], ["promotion '1x1,2'", "EPOCHSxREPLICATES"]),
        (["--promotion", "1x1", "--epochs", "2"], ["the full training, 2 epochs, as 2x1"]),
        (["--eta", "1"], ["eta 1 is below 2"]),
        (["--name", "../up"], ["'../up'", "letters"]),
        (["--name", ""], ["run name ''", "letters"]),
        (["--accelerator", "tpu"], ["'tpu'", "cuda"]),
        (["--data-dir", "/no/such/folder"], ["/no/such/folder"]),
    ],
)
def test_what_is_not_to_be_had_is_named_with_what_is_allowed(call, arguments, words):
    outcome = call("run", "--trials", 1, "--name", "wrong", *arguments, expect=2)
    assert outcome.stderr.startswith("se-search: ")
    assert all(word in outcome.stderr for word in words)
    assert "Traceback" not in outcome.stderr


def test_a_run_that_is_not_there_is_named(call):
    assert "no run at nowhere" in call("report", "nowhere", expect=2).stderr


def test_costs_of_the_paper_are_printed_without_training(call):
    table = call("cost", "--backbone", "resnet50", "--space", "stages").stdout
    assert "+2,514,944 │   9.841" in table
    assert "+942,080 │   3.686" in table


def test_costs_as_json_name_every_figure(call):
    rows = json.loads(call("cost", "--backbone", "resnet50", "--json").stdout)
    assert len(rows) == 16
    wanted = {"candidate", "key", "params", "added_params", "added_params_pct"}
    wanted |= {"macs", "added_macs", "by_stage"}
    assert all(wanted <= set(row) for row in rows)
    (everywhere,) = [row for row in rows if row["added_params"] == 2_514_944]
    assert everywhere["params"] == 28_071_976  # table 10 of the paper, exactly
    assert everywhere["by_stage"]["stage5"]["added_params"] == 1_572_864


def test_one_candidate_can_be_priced(call):
    text = "resnet50/all=standard:r16+bias"
    (row,) = json.loads(
        call("cost", "--backbone", "resnet50", "--candidate", text, "--json").stdout
    )
    assert row["params"] == 28_088_024  # the released Caffe model
    assert row["candidate"].endswith("stage5=standard:128+bias")


def test_a_whole_space_is_priced_into_a_csv_file(call, tmp_path):
    path = tmp_path / "costs.csv"
    call("cost", "--space", "stages_ratio", "--csv", path)
    rows = {row["candidate"]: row for row in read_rows(path)}
    assert len(rows) == 625
    text = "resnet20_bottleneck/stage3=standard:4/stage5=standard:64"
    # 2 C w for both blocks of stage 3 (64 channels), and for the block of stage 5 (256 channels).
    assert int(rows[text]["added_params"]) == 2 * (2 * 64 * 4) + 2 * 256 * 64
    assert int(rows[text]["added_params_stage5"]) == 2 * 256 * 64
    assert int(rows["resnet20_bottleneck"]["params"]) == 152_194


def test_a_table_of_a_huge_space_is_refused_with_the_way_out(call):
    assert "--csv" in call("cost", "--space", "full", expect=2).stderr


def test_a_candidate_is_drawn(call, tmp_path):
    picture = tmp_path / "drawn.png"
    outcome = call("show", "resnet50/all=standard:r16/stage5=none", "--output", picture)
    assert "SE at 13 of 16 sites" in outcome.stdout
    assert "fc [64, 1024]" in outcome.stdout
    assert f"Written: {picture}, {tmp_path}/drawn.pdf" in outcome.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "drawn.pdf").read_bytes().startswith(b"%PDF")


def test_a_picture_of_another_kind_is_refused_before_anything_is_written(call, tmp_path):
    picture = tmp_path / "drawn.jpg"
    outcome = call("show", "resnet50/stage5=standard:16", "--output", picture, expect=2)
    assert f"{picture} can't be written: figures are written as .png" in outcome.stderr
    assert list(tmp_path.glob("drawn*")) == []


def test_a_dot_in_a_pictures_name_is_no_suffix(call, tmp_path):
    call("show", "resnet50/stage5=standard:16", "--output", tmp_path / "v1.2")
    assert sorted(path.name for path in tmp_path.glob("v1*")) == ["v1.2.pdf", "v1.2.png"]


def test_the_package_runs_as_a_module(home, environment):
    words = [sys.executable, "-m", "se_search", "version"]
    outcome = subprocess.run(
        words, cwd=home, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert outcome.stdout.strip() == version("se-search")


OWN_NETWORK = """
import torch
from torch import nn

class Unit(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.branch = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1),
                                    nn.BatchNorm2d(channels))
    def forward(self, x):
        return torch.relu(x + self.branch(x))

class Net(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.units = nn.Sequential(Unit(8), Unit(8))
        self.head = nn.Linear(8, num_classes)
    def forward(self, x):
        return self.head(self.units(self.stem(x)).mean((2, 3)))

def make_net(num_classes):
    return Net(num_classes)
"""
OWN_SITES = """
sites:
  - {stage: 2, standard: {after: units.0.branch}, post: {after: units.0}}
  - {stage: 2, standard: {after: units.1.branch}, post: {after: units.1}}
"""


@pytest.fixture(scope="session")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "mynet.py").write_text(OWN_NETWORK)
    (folder / "sites.yaml").write_text(OWN_SITES)
    (folder / "space.yaml").write_text(
        "granularity: block\nchoices: {integration: [standard, post], reduction: [2, 4]}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", list(sys.path))
        yield folder
    sys.modules.pop("mynet", None)


OWN = ("--backbone", "mynet:make_net", "--sites", "sites.yaml")


def test_a_network_of_the_users_own_is_searched(call, own):
    call("run", "--data", "digits", "--epochs", 1, "--trials", 3, "--space", "space.yaml",
         *OWN, "--allow-code", "--name", "own", folder=own)  # fmt: skip
    rows = read_rows(own / "runs" / "own" / "trials.csv")
    assert [row["state"] for row in rows] == ["COMPLETE"] * 3
    assert all(row["candidate"].startswith("mynet:make_net") for row in rows)
    plain = 8 * 9 + 8 + 2 * (8 * 8 * 9 + 8 + 16) + 8 * 10 + 10
    assert {int(row["params"]) - int(row["added_params"]) for row in rows} == {plain}


def test_code_is_run_only_when_that_is_allowed(call, own):
    outcome = call("cost", *OWN, "--space", "space.yaml", expect=2, folder=own)
    assert "--allow-code" in outcome.stderr


def test_a_pretrained_backbone_can_be_frozen_and_its_weights_are_part_of_the_study(call, home):
    import torch

    from se_search.models.backbones import construct

    for seed in (1, 2):
        model = construct("resnet20_bottleneck", 1, 10, seed)
        torch.save(model.state_dict(), home / f"weights{seed}.pth")
    same = [*RUN, "--name", "frozen", "--freeze-backbone", "--weights"]
    call(*same, "weights1.pth", "--trials", 2)
    outcome = call(*same, "weights2.pth", "--trials", 3, expect=4)
    assert "backbone.weights" in outcome.stderr
    outcome = call(*RUN, "--name", "thawed", "--freeze-backbone", expect=2)
    assert "--weights" in outcome.stderr


def test_spaces_are_listed_with_raw_and_canonical_size(call):
    rows = {row["space"]: row for row in json.loads(call("spaces", "--json").stdout)}
    assert set(rows) == {
        "stages", "stages_ratio", "reduction", "fc_width", "integration", "blocks", "full",
        "squeeze", "gate", "variants", "native",
    }  # fmt: skip
    assert rows["stages_ratio"]["size"] == 625
    assert rows["full"]["raw_size"] > rows["full"]["size"]


def test_a_space_that_does_not_fit_the_backbone_is_listed_as_such(call):
    rows = {row["space"]: row for row in json.loads(call("spaces", "--json").stdout)}
    assert rows["native"]["size"] is None
    assert "resnet20_bottleneck: it came without SE" in rows["native"]["misfit"]
    (line,) = [line for line in call("spaces").stdout.splitlines() if "native" in line]
    assert "does not fit" in line


def test_a_space_is_shown_with_its_sites_and_choices(call):
    text = call("spaces", "show", "stages", "--backbone", "resnet50").stdout
    assert "stage4.block6" in text
    assert "stage5.se" in text


def test_sites_with_other_integrations_are_shown_in_the_columns_of_theirs(call):
    outcome = call("spaces", "show", "native", "--backbone", "mobilenet_v3_small")
    rows = [[cell.strip() for cell in line.split("│")] for line in outcome.stdout.splitlines()]
    (heading,) = [line for line in outcome.stdout.splitlines() if "drawn with" in line]
    names = [cell.strip() for cell in heading.split("┃")]
    backbone = describe_backbone("mobilenet_v3_small", 3, 224, 1000)
    assert len({tuple(site.feature_maps) for site in backbone.sites}) > 1
    sites = {site.name: site for site in backbone.sites}
    shown = [row for row in rows if len(row) == len(names) and row[1] in sites]
    assert shown
    for row in shown:
        maps = sites[row[1]].feature_maps
        expected = {name: str(each.channels) for name, each in maps.items()}
        found = dict(zip(names[3:-1], row[3:-1], strict=True))
        assert {name: cell for name, cell in found.items() if cell != "-"} == expected


def test_the_schema_is_valid_json(call):
    schema = json.loads(call("spaces", "schema").stdout)
    assert schema["additionalProperties"] is False


def test_a_space_of_the_users_own_is_taken_by_path(call, home, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("sites: [stage5]\nchoices: {reduction: [8, 16]}\n")
    rows = json.loads(call("cost", "--space", path, "--json").stdout)
    assert len(rows) == 3


def test_a_port_that_is_taken_is_named(finished, call):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        outcome = call("dashboard", "five", "--port", port, expect=2)
    assert f"port {port}" in outcome.stderr
