"""The search command: from options to a finished folder, on made-up trainings."""

from contextlib import ExitStack
from dataclasses import fields

import pytest
from support.commands import read_rows
from support.full_disk import largest_file
from support.sessions import MadeUpSessions
from typer.testing import CliRunner

from se_search.cli import app
from se_search.commands.options import ConfirmOptions, SearchOptions
from se_search.commands.search import search
from se_search.commands.settings import (
    describe_replicates,
    describe_settings,
    record_settings,
    refuse_missing_logger,
)
from se_search.cost import count_cost
from se_search.errors import (
    AllFailedError,
    DataError,
    DivergedError,
    InfrastructureError,
    RunChangedError,
    RunError,
)
from se_search.record import Evaluation, Rung
from se_search.report.display import QuietDisplay, make_display
from se_search.search.promotion import parse_rungs
from se_search.search.registry import SAMPLERS
from se_search.store.files import read_yaml, write_bytes
from se_search.store.kept_weights import KeptWeights, add_facts, describe_facts
from se_search.store.trials import read_records

NO_TENSORS = (2).to_bytes(8, "little") + b"{}"  # as safetensors writes them


def evaluate(assignment):
    accuracy = int(assignment.candidate.key, 16) % 9973 / 10_000 + assignment.seed * 1e-6
    return Evaluation(accuracy, 0.5, (), b"\x80", 1.0)


class Notes(QuietDisplay):
    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)


@pytest.fixture
def run_search(tmp_path):
    """Search digits with made-up trainings; return the outcome, the sessions and the notes."""

    def run(evaluate=evaluate, num_workers=1, notes=None, **options):
        usual = {"space": "stages", "data": "digits", "epochs": 1, "trials": 4}
        options = usual | {"keep_weights": "none"} | options  # what is made up has no weights
        sessions, notes = MadeUpSessions(evaluate, num_workers), notes or Notes()
        outcome = search(SearchOptions(runs_dir=tmp_path, **options), notes, sessions)
        return outcome, sessions, notes.texts

    return run


def test_a_search_keeps_the_weights_of_each_candidates_first_replicate(run_search, tmp_path):
    kept = KeptWeights(tmp_path / "stages")

    def train(assignment):
        if assignment.weights_file is not None:
            facts = describe_facts(assignment.candidate, assignment.seed, 1, accuracy=0.5)
            write_bytes(assignment.weights_file, add_facts(NO_TENSORS, facts))
        return evaluate(assignment)

    outcome, _, notes = run_search(train, keep_weights="front", trials=5)
    records = read_records(outcome.folder.database)
    first = {record.key: record for record in reversed(records)}
    assert len(first) < len(records)
    names = kept.list_names()
    assert {(n.key, n.replicate, n.epochs) for n in names} == {
        (record.key, record.seed, 1) for record in first.values()
    }
    assert notes[-1].startswith(f"Weights: {len(first)} of {len(first)} candidates are kept in ")


def test_a_logger_whose_package_is_missing_is_refused_with_what_installs_it():
    refuse_missing_logger(None, find=lambda name: None)
    refuse_missing_logger("tensorboard", find=lambda name: name)
    with pytest.raises(RunError, match=r"pip install 'se-search\[tensorboard\]' installs it"):
        refuse_missing_logger("tensorboard", find=lambda name: None)


def test_curves_are_asked_for_by_name_and_lie_in_the_runs_folder(run_search, tmp_path):
    with pytest.raises(RunError, match=r"logger 'tensorbord' .did you mean tensorboard"):
        run_search(logger="tensorbord")
    _, sessions, _ = run_search(logger="tensorboard", trials=1)
    assert sessions.requests[0].tensorboard == tmp_path / "stages" / "tensorboard"


def test_a_search_leaves_its_trials_and_its_front_in_a_folder_named_after_the_space(
    run_search, tmp_path
):
    outcome, sessions, _ = run_search()
    rows = read_rows(tmp_path / "stages" / "trials.csv")
    assert [row["candidate"] for row in rows] == [str(a.candidate) for a in sessions.trained]
    assert outcome.folder.pareto_csv.is_file()
    assert outcome.signal is None


@pytest.fixture
def tight(tmp_path):
    """A space of 4 million candidates, of which 7 are within its limits."""
    path = tmp_path / "tight.yaml"
    path.write_text(
        "granularity: block\n"
        "choices: {integration: [standard, pre, inner], reduction: [2, 4, 8, 16]}\n"
        "limits: {added_params: 0.0003}\n"
    )
    return str(path)


@pytest.mark.parametrize("sampler", ["pareto", "tpe"])
def test_few_allowed_candidates_are_found_none_is_trained_twice_and_the_end_is_said(
    run_search, tight, sampler
):
    _, sessions, notes = run_search(
        space=tight, sampler=sampler, trials=20, repeat_candidates=False
    )
    trained = [assignment.candidate for assignment in sessions.trained]
    # The plain network is the control of two replicates.
    assert (len(trained), len(set(trained))) == (8, 7)
    assert max(count_cost(candidate).added_params_pct for candidate in trained) <= 0.03
    assert any("4,084,223 candidates (7 within the limits)" in note for note in notes)
    assert notes[-1] == (
        "All 7 candidates within the limits have been trained or have failed, so the search ends "
        "before its 20 trials."
    )


def test_that_all_trials_failed_ends_in_exit_code_5_with_the_most_frequent_reason(
    run_search, tight
):
    def fail(assignment):
        raise DivergedError("the loss is nan" if any(assignment.candidate.blocks) else "rare")

    with pytest.raises(AllFailedError, match=r"all 3 .*: rare$") as caught:
        run_search(fail, space=tight, trials=3)
    assert caught.value.exit_code == 5
    with pytest.raises(AllFailedError, match=r"all \d+ .*\(\d+ of \d+\): the loss is nan$"):
        run_search(fail, space=tight, trials=20, max_failures=99)


def test_what_the_user_asks_for_reaches_the_session(run_search, tmp_path):
    _, sessions, _ = run_search(
        workers=3, threads=2, accelerator="cpu", timeout=7.0, data_dir=tmp_path / "data"
    )
    (request,) = sessions.requests
    assert (request.workers, request.threads, request.accelerator) == (3, 2, "cpu")
    assert (request.timeout, request.data_dir) == (7.0, tmp_path / "data")
    assert (request.data, request.backbone) == ("digits", "resnet20_bottleneck")


def test_a_search_never_reads_the_test_images(run_search):
    assert [task.with_test for task in run_search()[1].tasks] == [False]


def test_the_images_fingerprint_is_part_of_the_run(run_search):
    data = run_search()[0].folder.read_config()["identity"]["data"]
    assert data["fingerprint"] == "0123456789abcdef"


def test_the_share_of_validation_images_and_the_chance_level_are_said(run_search):
    """Digits: of 287 validation images each of two classes has 29, a tenth rounded up."""
    texts = run_search()[2]
    assert any("Validation: 287 of 1,437 training images instead of 10,000" in t for t in texts)
    assert any("287 validate, of which a constant answer has 10.10 % right" in t for t in texts)


def test_the_precision_of_the_session_is_part_of_the_run(run_search):
    assert run_search()[0].folder.read_config()["identity"]["precision"] == "32-true"


def test_another_run_in_the_folder_is_refused_before_a_session_is_opened(run_search):
    run_search()
    with pytest.raises(RunChangedError, match="seed: 0 in the run, 1 asked for"):
        run_search(seed=1)


def test_a_disk_that_fills_up_ends_the_command_and_the_same_command_goes_on(run_search, tmp_path):
    """Trial 2 ends on the full disk, and there is room again as soon as the reserve is given up."""
    disk, reserve = ExitStack(), tmp_path / "stages" / ".reserve"

    class Lifts(Notes):
        def note(self, text):
            super().note(text)
            if "Nothing more begins" in text:
                assert reserve.exists()
                disk.close()

    def fill(assignment):
        if len(read_records(tmp_path / "stages" / "trials.db")) == 3:
            disk.enter_context(largest_file(1))
        return evaluate(assignment)

    with disk, pytest.raises(InfrastructureError, match="that have ended are stored") as caught:
        run_search(fill, notes=Lifts())
    assert str(caught.value).startswith(f"{tmp_path / 'stages' / 'trials.db'} can't be read or wri")
    assert not reserve.exists()
    _, continued, _ = run_search()
    _, undisturbed, _ = run_search(name="undisturbed")
    assert continued.trained == undisturbed.trained[3:]


def test_a_run_that_gets_no_session_leaves_no_configuration(tmp_path):
    def find_nothing(request, note):
        raise DataError("the data set is not there")

    options = SearchOptions(space="stages", data="digits", runs_dir=tmp_path)
    with pytest.raises(DataError):
        search(options, QuietDisplay(), find_nothing)
    assert not (tmp_path / "stages" / "config.yaml").exists()


def test_a_sampler_that_is_not_there_is_refused_with_those_that_are(run_search):
    with pytest.raises(RunError, match=f"'magic' is not one of {', '.join(SAMPLERS)}"):
        run_search(sampler="magic")


def test_the_help_of_the_sampler_option_names_every_sampler():
    sampler = SearchOptions.__annotations__["sampler"]
    assert all(name in sampler for name in SAMPLERS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("trials", 0), ("seed", -1), ("threads", 0), ("max_failures", 0), ("eta", 1)),
        *(("epochs", 0), ("workers", 0), ("timeout", 0.0), ("tolerance", 0.0)),
        ("accelerator", "tpu"),
    ],
)
def test_numbers_and_words_beyond_their_limits_are_refused(name, value):
    with pytest.raises(RunError, match=f"^{name} "):
        SearchOptions(**{name: value})


def test_a_frozen_backbone_without_weights_is_refused():
    with pytest.raises(RunError, match="--weights"):
        SearchOptions(freeze_backbone=True)


def test_replicates_of_a_grid_are_refused():
    with pytest.raises(RunError, match=r"^sampler grid trains every candidate in one replicate"):
        SearchOptions(sampler="grid", replicates=3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "Trials take turns among 2 replicates"),
        ({"replicates": 5}, "Trials take turns among 5 replicates"),
        ({"replicates": 1}, "All trials are of one replicate"),
        ({"sampler": "grid"}, "Every candidate is trained in one replicate before the next"),
    ],
)
def test_how_trials_are_spread_over_replicates_is_said(run_search, options, words):
    _, _, notes = run_search(**options)
    assert any(note.startswith(words) for note in notes)


def test_what_a_replicate_draws_is_said():
    assert "which images train and validate" in describe_replicates(SearchOptions(), "replicate")
    assert "which images" not in describe_replicates(SearchOptions(), "fixed")


@pytest.mark.parametrize("name", ["replicates", "workers", "threads", "timeout"])
def test_a_confirmation_of_zero_is_refused(name):
    assert name in {field.name for field in fields(ConfirmOptions)}
    with pytest.raises(RunError, match=f"^{name} 0 "):
        ConfirmOptions(**{name: 0})


def test_a_run_that_goes_on_with_another_sampler_says_so_and_records_it(run_search):
    run_search(sampler="random")
    outcome, _, notes = run_search(sampler="grid", trials=6)
    assert notes[-1] == (
        "From trial 4 on candidates are chosen otherwise than before: sampler random -> grid"
    )
    history = outcome.folder.read_config()["search"]["history"]
    assert [(one["from_trial"], one["sampler"]) for one in history] == [(0, "random"), (4, "grid")]
    checklist = outcome.folder.checklist.read_text()
    assert "Sampler `random`, rungs off; from trial 4 on `grid`" in checklist


def test_a_run_keeps_the_lag_that_it_began_with_however_many_workers_go_on_with_it(run_search):
    lags = []
    for trials, num_workers in ((4, 2), (6, 8), (8, 1)):
        outcome, _, notes = run_search(trials=trials, num_workers=num_workers)
        lags.append(outcome.folder.read_config()["search"]["lag"])
        is_said = any("at most 6 of 8 workers train" in note for note in notes)
        assert is_said == (num_workers == 8)
    assert lags == [6, 6, 6]


@pytest.mark.parametrize(
    ("options", "ending"),
    [
        ({}, None),
        ({"repeat_candidates": False}, ": repeat_candidates on -> off"),
        ({"trials": 60}, ": replicates 8 -> 5"),
        ({"replicates": 3}, ": replicates 8 -> 3"),
        ({"replicates": 8}, None),
        ({"promotion": "1x1,2x1", "epochs": 2}, ": promotion off -> 1x1,2x1"),
        ({"eta": 4}, None),  # there are no rungs
        ({"sampler": "tpe", "repeat_candidates": False}, ": sampler pareto -> tpe"),
    ],
)
def test_only_settings_that_matter_are_said_to_have_changed(options, ending):
    before = describe_settings(SearchOptions(epochs=2), (Rung(2, 1),))
    now = SearchOptions(**({"epochs": 2} | options))
    settings = describe_settings(now, parse_rungs(now.promotion, 2))
    history, line = record_settings({}, before, 0)
    assert (history, line) == ([{"from_trial": 0, **before}], None)
    history, line = record_settings({"search": {"history": history}}, settings, 3)
    assert len(history) == (1 if settings == before else 2)
    assert (line is None) if ending is None else line.endswith(ending)


def test_candidates_climb_rungs_that_are_judged_and_may_change(tmp_path, capsys):
    climb = {"space": "stages", "data": "digits", "epochs": 2, "sampler": "grid"}

    def run(**options):
        asked = SearchOptions(name="rungs", runs_dir=tmp_path, **climb, **options)
        search(asked, make_display(), MadeUpSessions(evaluate))
        return capsys.readouterr().out

    text = run(promotion="auto", eta=2, trials=5)
    folder = tmp_path / "rungs"
    assert "Rungs of epochs x replicates: 1x1, 2x1; 1 in 2 is promoted" in text
    assert "(seed 0, 1 epoch)" in text
    assert "(seed 0, promoted)" in text
    assert "rungs.csv" in text
    trials = read_rows(folder / "trials.csv")
    assert {(r["state"], r["epochs"]) for r in trials} == {("PRUNED", "1"), ("COMPLETE", "2")}
    assert {r["role"] for r in trials} >= {"control", "promotion"}
    settings = read_yaml(folder / "config.yaml")["search"]
    assert (settings["promotion"], settings["eta"]) == ("1x1,2x1", 2)
    run(trials=7)
    more = read_rows(folder / "trials.csv")
    assert more[:5] == trials
    assert {r["state"] for r in more[5:]} == {"COMPLETE"}
    assert [r["epochs"] for r in read_rows(folder / "rungs.csv")] == ["1"]
    report = CliRunner().invoke(app, ["report", str(folder), "--front"])
    assert "too few to judge" in report.output
