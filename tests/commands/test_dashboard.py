"""The dashboard of a run: what it shows, and that nobody changes the run through it."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest
from support.asking import ask
from support.kept_runs import make_run, make_trial
from support.made_up_fronts import make_facts
from support.made_up_pages import make_source
from support.run_folders import fill_config, store_trials

from se_search.commands.dashboard import describe_address, open_server
from se_search.commands.dashboard_board import REPORT, Boards, Findings, make_board
from se_search.commands.dashboard_gate import STYLE, Gate
from se_search.errors import RunError
from se_search.report.page.board import draw_board
from se_search.report.page.contents import prepare_page
from se_search.store.run_folder import RunFolder
from se_search.store.trials import read_trials

STUDY = "/api/studies/0"
TRIALS = (
    replace(make_trial("no SE", 0.8), role="control"),
    make_trial("s2:4", 0.8124, seed=3),
    make_trial("s2:8 s4:16", 0.5, epochs=1, state="PRUNED"),
)


def make_whole_run(path):
    """Make the folder of a run of ``TRIALS``, with all that a page asks of it; return it."""
    folder = make_run(path, TRIALS)
    fill_config(folder)
    return folder


def find(facts=None):
    page = prepare_page(make_source(facts=facts))
    return Findings(page, draw_board(page), b"<!doctype html>the report")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "mine", TRIALS, promotion="1x1,4x1")


@pytest.fixture(scope="module")
def findings():
    return find()


@pytest.fixture
def board(folder, findings):
    return make_board(folder, read_trials(folder.database), findings)


@pytest.fixture
def gate(board):
    gate = Gate("127.0.0.1")
    gate.show(board)
    return gate


def read_files(folder):
    return {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}


def read_study(app):
    status, study = ask(app, STUDY)
    assert status == 200
    return study


def read_attributes(study, number):
    return {each["key"]: each["value"] for each in study["trials"][number]["user_attrs"]}


def test_the_study_has_the_name_of_the_run_and_its_objectives_have_units(gate):
    study = read_study(gate)
    assert study["name"] == "mine"
    assert study["objective_names"] == ["accuracy (% of validation images)", "parameters"]
    assert study["directions"] == ["maximize", "minimize"]


def test_each_trial_is_shown_under_its_number_with_its_accuracy_in_per_cent(gate):
    trials = read_study(gate)["trials"]
    assert [each["number"] for each in trials] == [0, 1, 2]
    assert [each["state"] for each in trials] == ["Complete", "Complete", "Pruned"]
    assert trials[1]["values"] == [81.24, TRIALS[1].params]


def test_a_trial_says_its_candidate_replicate_role_and_rung(gate):
    study = read_study(gate)
    attributes = read_attributes(study, 1)
    assert list(attributes)[:5] == ["candidate", "replicate", "role", "rung", "epochs"]
    assert (attributes["candidate"], attributes["replicate"]) == ("s2:4", "3")
    assert attributes["rung"] == "full training"
    assert read_attributes(study, 0)["role"].startswith("control: the plain network")
    shorter = read_attributes(study, 2)
    assert shorter["rung"] == "1 of 2"
    assert shorter["accuracy of the rung (%)"] == "50.0"


def test_a_trial_that_failed_says_why(tmp_path):
    failed = replace(make_trial("s2:4", 0.0, state="FAIL"), reason="loss is not finite")
    folder = make_run(tmp_path / "run", [*TRIALS[:1], failed])
    study = read_study(make_board(folder, read_trials(folder.database), None).app)
    assert read_attributes(study, 1)["reason of the failure"] == "loss is not finite"


def test_the_figures_have_fixed_names_and_stand_in_reading_order(gate):
    figures = read_study(gate)["plotly_graph_objects"]
    assert [each["id"] for each in figures] == [
        *("front-params", "places", "effects", "found-trainings", "certainty-trainings"),
        "confirmed",
    ]


def test_a_page_is_the_one_of_optuna_dashboard_with_a_style_sheet_more(gate, board):
    status, changed = ask(gate, "/dashboard/studies/0")
    assert status == 200
    _, own = ask(board.app, "/dashboard/studies/0")
    assert changed.replace(STYLE, b"") == own
    assert changed.count(STYLE + b"</head>") == 1


@pytest.mark.parametrize("path", ["/dashboard", STUDY])
def test_a_request_for_headers_alone_is_answered_without_a_body(gate, path):
    status, body = ask(gate, path, method="HEAD")
    assert status == 200
    assert not body


def test_the_note_is_the_answer(gate, findings):
    note = read_study(gate)["note"]["body"]
    assert "Put SE of width 4 in stage 2" in findings.page.answer.what
    assert "Put SE of width 4 in stage 2" in note
    assert "3 trials: 2 in full, 1 shorter." in note


def test_the_note_says_so_while_nothing_is_computed(folder):
    board = make_board(folder, read_trials(folder.database), None)
    study = read_study(board.app)
    assert "are being computed" in study["note"]["body"]
    assert study["plotly_graph_objects"] == []


def test_names_in_the_note_are_text(tmp_path):
    folder = make_run(tmp_path / "<b>*x* $y$ [z](http:q)", TRIALS)
    note = read_study(make_board(folder, read_trials(folder.database), None).app)["note"]["body"]
    assert r"\<b\>\*x\* \$y\$ \[z\](http:q)" in note
    where = make_facts(run=Path("/tmp/`<img src=x>`"))
    board = make_board(folder, read_trials(folder.database), find(where))
    fences = [line for line in read_study(board.app)["note"]["body"].splitlines() if "```" in line]
    assert len(fences) % 2 == 0


def test_the_report_can_be_opened_from_the_note(gate):
    study = read_study(gate)
    link = f"/artifacts/0/{REPORT}"
    assert f"]({link})" in study["note"]["body"]
    assert [each["filename"] for each in study["artifacts"]] == ["report.html"]
    assert ask(gate, link) == (200, b"<!doctype html>the report")


CHANGES = (
    ("DELETE", STUDY, {}),
    ("POST", f"{STUDY}/rename", {"study_name": "other"}),
    ("POST", "/api/studies", {"study_name": "other", "directions": ["minimize"]}),
    ("PUT", f"{STUDY}/note", {"version": 99, "body": "mine"}),
    ("POST", "/api/trials/1/user-attrs", {"user_attrs": {"candidate": "other"}}),
    ("POST", "/api/trials/1/tell", {"state": "Fail"}),
    ("DELETE", f"/api/artifacts/0/{REPORT}", None),
    ("POST", "/api/artifacts/0", {"file": "data:text/plain;base64,eA==", "filename": "x"}),
)


@pytest.mark.parametrize(("method", "path", "content"), CHANGES)
def test_a_request_that_would_change_something_is_refused(gate, method, path, content):
    before = read_study(gate)
    status, answer = ask(gate, path, method, content)
    assert status == 403
    assert "changes nothing" in answer["reason"]
    assert read_study(gate) == before


@pytest.mark.parametrize(("method", "path", "content"), CHANGES[:2])
def test_not_even_behind_the_gate_can_the_run_be_reached(board, folder, method, path, content):
    before = read_files(folder)
    status, _ = ask(board.app, path, method, content)
    assert status in (201, 204)
    assert ask(board.app, STUDY)[0] == 404
    assert read_files(folder) == before


def test_a_foreign_name_that_leads_to_this_machine_is_refused(gate, board):
    assert ask(gate, STUDY, host="evil.example:8080")[0] == 403
    for own in ("localhost:9999", "127.0.0.1", "[::1]:8080"):
        assert ask(gate, STUDY, host=own)[0] == 200
    wide = Gate("0.0.0.0")
    wide.show(board)
    assert ask(wide, STUDY, host="workstation:8080")[0] == 200


def test_looking_at_a_run_writes_nothing_into_its_folder(tmp_path):
    folder = make_whole_run(tmp_path / "run")
    before, shown = read_files(folder), []
    Boards(folder, shown.append, pytest.fail).look()
    assert [bool(each.figures) for each in shown] == [False, True]
    assert read_files(folder) == before


def test_new_trainings_are_shown_when_it_is_time(tmp_path):
    folder = make_whole_run(tmp_path / "run")
    now, shown = [0.0], []
    boards = Boards(folder, shown.append, pytest.fail, least_seconds=5.0, clock=lambda: now[0])
    boards.look()
    store_trials(folder, [make_trial("s3:8", 0.81, seed=1)])
    now[0] = 4.0
    boards.look()
    assert len(shown) == 2
    now[0] = 5.0
    boards.look()
    assert len(shown) == 4
    study = read_study(shown[-1].app)
    assert len(study["trials"]) == 4
    assert "after 4 trials" in study["note"]["body"]
    now[0] = 60.0
    boards.look()
    assert len(shown) == 4


def test_reading_takes_a_tenth_of_the_time_at_most(tmp_path):
    folder = make_whole_run(tmp_path / "run")
    now, shown = [0.0], []

    def clock():
        now[0] += 1.0  # each look at the clock
        return now[0]

    boards = Boards(folder, shown.append, pytest.fail, least_seconds=0.0, clock=clock)
    boards.copy_trials()
    store_trials(folder, [make_trial("s3:8", 0.81, seed=1)])
    began = now[0]
    while len(shown) < 2:
        boards.copy_trials()
    assert now[0] - began >= 10


def test_a_run_that_cannot_be_read_any_more_is_complained_of_once_and_stays(tmp_path):
    folder = make_whole_run(tmp_path / "run")
    shown, complaints = [], []
    boards = Boards(folder, shown.append, complaints.append, least_seconds=0.0, share=1e9)
    boards.look()
    folder.database.rename(folder.path / "away")
    boards.look()
    boards.look()
    (complaint,) = complaints
    assert "trials.db is not there" in complaint
    study = read_study(shown[-1].app)
    assert len(study["trials"]) == 3
    assert "not the newest trials" in study["note"]["body"]
    (folder.path / "away").rename(folder.database)
    store_trials(folder, [make_trial("s3:8", 0.81, seed=1)])
    boards.look()
    assert "not the newest" not in read_study(shown[-1].app)["note"]["body"]


def test_a_port_that_is_taken_is_named_with_one_that_is_free():
    with open_server("127.0.0.1", 0) as taken:
        host, port = taken.server_address
        assert host == "127.0.0.1"
        with pytest.raises(RunError, match=rf"port {port} of 127.0.0.1 is taken") as caught:
            open_server("127.0.0.1", port)
    free = int(str(caught.value).partition("--port ")[2].partition(",")[0])
    assert free > port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", free))


def test_a_host_that_is_none_of_this_machine_is_named():
    with pytest.raises(RunError, match=r"can't listen at port 8080 of 192\.0\.2\.1"):
        open_server("192.0.2.1", 8080)


def test_only_another_host_is_told_that_there_is_no_authentication():
    folder = RunFolder(Path("runs/mine"))
    assert "no authentication" in describe_address(folder, "0.0.0.0", 8080)[-1]
    for own in ("127.0.0.1", "localhost", "::1"):
        lines = describe_address(folder, own, 8080)
        assert not any("authentication" in line for line in lines)
        assert "ssh -L 8080:" in lines[-1]
