"""What is told of a scale before its trainings, on the shipped studies and without any images."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.studies import made_up_training, study_file
from typer.testing import CliRunner

from se_search.analysis.claims import Claim
from se_search.analysis.sequential import LookPlan
from se_search.cli import app
from se_search.cost import count_cost
from se_search.errors import RunError
from se_search.reproduction.forecast import (
    describe_forecast,
    forecast_event,
    make_forecast,
    refuse_hopeless,
)
from se_search.reproduction.options import ReproduceOptions
from se_search.reproduction.plan import make_plan
from se_search.reproduction.prospects import Noise, foresee

NOWHERE = Path("no_such_store")


def plan_study(name, scale, **changes):
    return make_plan(
        name, ReproduceOptions(names=(name,), scale=scale, only_plan=True, store=NOWHERE, **changes)
    )


@pytest.fixture(scope="module")
def paper():
    """The study of gates at the paper's scale: 4 networks, of 8 to 16 replicates each."""
    return make_forecast([plan_study("gate", "paper")], (), "cuda")


def test_gpu_hours_are_those_of_the_networks_by_hand(paper):
    """1,231,167 images for 270 epochs at 32e12 multiply-adds a second, three passes each."""
    macs = sum(count_cost(c).macs for c in plan_study("gate", "paper").candidates.values())
    hours = 3 * macs * 1_231_167 * 270 / 32e12 / 3600
    (load,) = paper.workloads
    assert load.next_look == pytest.approx(8 * hours)
    assert load.whole_plan == pytest.approx(16 * hours)
    assert 30 < hours / 4 < 36  # an A100 takes 13 h for 100 epochs: 35 h for 270


def test_networks_that_studies_share_count_once():
    plans = [plan_study(name, "gpu") for name in ("gate", "squeeze_operator")]
    found = make_forecast(plans, (), "cpu")
    # none and r16 everywhere are in both: 4 + 3 - 2.
    assert (found.num_networks, found.num_next, found.num_whole) == (5, 5 * 8, 5 * 20)


def test_trainings_that_are_there_are_subtracted_and_tell_the_noise():
    plan = plan_study("gate", "desk")
    done = [
        made_up_training(candidate, replicate, epochs=plan.epochs, num_test=10_000)
        for candidate in plan.candidates.values()
        for replicate in range(7)
    ]
    before, after = (make_forecast([plan], trainings, "cpu") for trainings in ((), done))
    assert (after.num_done, after.num_next) == (4 * 7, 4)
    assert after.workloads[0].next_look == pytest.approx(before.workloads[0].next_look / 8)
    assert before.studies["gate"].noise[1].source.startswith("assumed")
    # The made-up trainings vary by a point, so that their differences vary by 1.4.
    assert after.studies["gate"].noise[1].sd == pytest.approx(0.014, rel=0.4)
    assert after.studies["gate"].noise[1].source.startswith("measured on 4 pairs")


def test_a_forecast_says_trainings_hours_detectable_difference_and_hopeless_claims(paper):
    lines = describe_forecast(paper)
    text = "\n".join(lines)
    assert lines[0] == "gate at scale paper: 4 networks, looks at 8, 12 and 16 replicates"
    assert "Trainings: 32 to the next look, 64 if every claim stays open" in text
    assert "GPU-hours: 1,100 to the next look, 2,200 if every claim stays open" in text
    assert "if a data-centre GPU makes 32e12 multiply-adds a second" in text
    assert "Found with 80 % power by looks at 8, 12 and 16 replicates: a difference of 0.19" in text
    assert "Decided in less than 80 % of cases, if the paper's differences are the true" in text
    assert "(0 where it has none): 1 of 4 claims" in text
    assert "  gate: none beats relu (decided with a chance of 7" in text


def test_less_than_a_tenth_of_an_hour_is_told_in_seconds(paper):
    short = replace(paper.workloads[0], next_look=0.0025, whole_plan=0.005)
    text = "\n".join(describe_forecast(replace(paper, workloads=(short,))))
    assert "GPU-seconds: 9 to the next look, 18 if every claim stays open" in text


def test_a_forecast_is_plain_data_too(paper):
    event = json.loads(json.dumps(forecast_event(paper)))
    assert event["trainings"] == {"done": 0, "next_look": 32, "whole_plan": 64}
    (study,) = event["studies"]
    assert study["detectable"] == pytest.approx(0.0019, abs=0.00005)
    assert [claim["supposed"] for claim in study["claims"]] == pytest.approx(
        [0.0072, 0.0119, 0.0047, 0.0017]
    )


def test_what_is_refused_is_named_with_the_replicates_that_would_do():
    study = study_file(claims=("all beats none",))
    claims = [Claim.parse(text) for text in study.claims]
    noise = {1: Noise(0.02, "made up"), 5: Noise(0.02, "made up")}
    prospects = foresee(study, claims, LookPlan(), noise)
    with pytest.raises(RunError, match=r"(?s)one: .*all beats none \(decided .*--force") as caught:
        refuse_hopeless({"one": prospects})
    # A point at a standard deviation of two: n = 34 by the noncentral t.
    assert "about 34 replicates would do; a plan has 20 at most" in str(caught.value)
    refuse_hopeless({"two": foresee(study, claims, LookPlan(), {1: Noise(0.01, "made up")})})


def test_the_shipped_scales_can_decide_something_in_every_study():
    for scale in ("desk", "gpu", "paper"):
        for name in ("drop_last_stage", "inner", "mobilenet", "squeeze_operator"):
            refuse_hopeless(make_forecast([plan_study(name, scale)], (), "auto").studies)


def test_the_command_tells_a_plan_and_trains_nothing(tmp_path):
    arguments = ["reproduce", "gate", "--scale", "paper", "--plan", "--store", str(tmp_path / "s")]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0
    assert "Trainings: 32 to the next look" in " ".join(shown.stdout.split())
    data = CliRunner().invoke(app, [*arguments, "--json"])
    assert json.loads(data.stdout)["networks"] == 4
    assert not (tmp_path / "s").exists()
