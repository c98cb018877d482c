"""A search by latency, on made-up trainings and benches: what is measured when, and kept."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from support.commands import read_rows
from support.latency import (
    GROUND,
    Clock,
    MadeUpBench,
    add_by_width,
    measure_made_up,
    true_latency,
)
from support.sessions import MadeUpSessions

from se_search.analysis.confirming import judge_front
from se_search.analysis.replicates import Replicates
from se_search.commands.confirm_candidates import choose_candidates
from se_search.commands.options import ConfirmOptions, SearchOptions
from se_search.commands.recorded_run import read_recorded_options
from se_search.commands.run_latency import LatencyMeasuring
from se_search.commands.search import search
from se_search.errors import LatencyError, RunChangedError, RunError
from se_search.latency.measure import Structure as Timed
from se_search.latency.measure import describe_whole, time_structures
from se_search.record import Evaluation
from se_search.report.display import QuietDisplay
from se_search.report.run_comparison import compare_fronts, read_compared
from se_search.report.run_report import write_report
from se_search.report.source import read_source
from se_search.store.front_cache import read_question
from se_search.store.latency import read_latency
from se_search.store.run_space import read_space
from se_search.store.trials import read_records


def evaluate(assignment):
    width = sum(block.width for block in assignment.candidate.blocks if block is not None)
    noise = int(assignment.candidate.key, 16) % 97 / 1e5 + assignment.seed * 1e-4
    return Evaluation(0.5 + 0.002 * width + noise, 0.5, (), b"\x80", 1.0)


class Notes(QuietDisplay):
    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)


class MadeUpMeasuring:
    """Measures on a made-up bench, and counts how often; ``added`` is what whole networks take."""

    def __init__(self, clock=None, added=add_by_width, ground=GROUND):
        self.clock, self.added, self.ground = clock, added, ground
        self.requests, self.whole = [], []

    def measure_table(self, request, note):
        self.requests.append(request)
        settings = self.ground.settings
        table = measure_made_up(request.allowed.space, clock=self.clock)
        return replace(table, ground=replace(self.ground, settings=settings))

    def measure_whole(self, request, table, candidates, note):
        self.whole.append([str(candidate) for candidate in candidates])
        structures = [Timed(str(candidate), candidate) for candidate in candidates]
        timings = time_structures(MadeUpBench(self.added), structures, 10, 1)
        return describe_whole(table, candidates, timings)

    @property
    def measuring(self):
        return LatencyMeasuring(self.measure_table, self.measure_whole)


def search_in(folder, made_up=None, **options):
    """Search digits by latency; return the outcome, what was measured and the notes."""
    usual = {"space": "stages_ratio", "data": "digits", "epochs": 1, "trials": 4}
    usual |= {"objectives": "accuracy,latency", "keep_weights": "none", "name": "timed"}
    made_up, notes = made_up or MadeUpMeasuring(), Notes()
    outcome = search(
        SearchOptions(runs_dir=folder, **usual | options),
        *(notes, MadeUpSessions(evaluate)),
        measuring=made_up.measuring,
    )
    return outcome, made_up, notes.texts


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A run whose sums are 2 % too low, as all networks with SE take 0.2 ms that no sum has."""

    def slower(candidate):
        return add_by_width(candidate) + 0.2 * any(candidate.blocks)

    made_up = MadeUpMeasuring(clock=Clock(noise=0.02), added=slower)
    return search_in(tmp_path_factory.mktemp("runs"), made_up, trials=14)


def test_each_trial_has_the_latency_of_its_candidates_sum(searched):
    outcome, made_up, _ = searched
    space, sums = read_space(outcome.folder), read_question(outcome.folder).latency
    for record in read_records(outcome.folder.database):
        cost = sums.count_cost(space.parse(record.candidate))
        assert (record.latency, record.added_latency) == (cost.latency, cost.added_latency)
        true = true_latency(space.parse(record.candidate))
        assert record.latency == pytest.approx(true, rel=0.03)  # a noise of 2 %
    rows = read_rows(outcome.folder.candidates_csv)
    assert str(sums.plain) in {row["latency"] for row in rows}
    assert len(made_up.requests) == 1


def test_the_listed_front_is_measured_whole_and_the_answer_says_how_far_the_sum_was_off(searched):
    outcome, made_up, _ = searched
    front, table = outcome.findings.credible, read_latency(outcome.folder)
    listed = [c.summary.candidate for c in front.listed if not c.is_plain]
    assert listed
    assert made_up.whole == [listed]
    assert [each.candidate for each in table.front] == listed
    for each in table.front:
        true = 10 * (0.2 + add_by_width(read_space(outcome.folder).parse(each.candidate)))
        assert each.timing.added_pct == pytest.approx(true, abs=1e-6)
        assert each.error_pct == pytest.approx(-2.0, abs=3.0)
    text = outcome.findings.answer.how_sure
    taken = front.recommended.summary.candidate
    off = next(each.error_pct for each in table.front if each.candidate == taken)
    assert text.endswith(f"measured whole; the sum was off by {off:+.2f} %.")


def test_no_member_of_the_front_is_there_only_for_a_difference_below_the_floor(searched):
    outcome, _, _ = searched
    floor = read_question(outcome.folder).latency.floor
    front = sorted(outcome.findings.credible.front, key=lambda member: member.gain)
    assert floor > 10_000
    assert len(front) > 1
    for worse, better in pairwise(front):
        assert better.summary.latency - worse.summary.latency > floor


def test_a_report_measures_nothing_and_shows_what_is_stored(searched):
    outcome, _, _ = searched
    before = outcome.folder.latency_json.read_bytes()
    text = outcome.folder.report_md.read_text()
    assert "## What SE takes in time" in text
    assert "latency, ms" in text
    assert "Candidates of the front measured whole" in outcome.folder.report_html.read_text()
    assert outcome.folder.latency_png.is_file()
    assert len(read_rows(outcome.folder.latency_csv)) == 16
    assert write_report(outcome.folder).latency == read_latency(outcome.folder)
    assert outcome.folder.latency_json.read_bytes() == before


def test_runs_of_different_latencies_are_compared_by_parameters_and_told_why(searched):
    run = read_compared(searched[0].folder, read_source(searched[0].folder).front)
    ground = replace(run.latency.ground, hardware="another CPU")
    other = replace(run, latency=replace(run.latency, ground=ground))
    alike = compare_fronts(run, replace(run, run="a copy"), ["latency"])
    assert (alike.cost, alike.without_latency) == ("latency", None)
    differing = compare_fronts(run, other, ["latency"])
    assert differing.cost == "params"
    assert "A's are of a CPU" in differing.without_latency
    assert "B's are of another CPU" in differing.without_latency


def test_a_confirmation_recalls_how_latencies_were_measured(searched):
    options = read_recorded_options(searched[0].folder.read_config(), ConfirmOptions())
    assert options.latency_batch == GROUND.settings.batch
    assert options.latency_device == "cpu"


def test_a_continued_run_measures_nothing_again_and_other_latencies_are_another_run(tmp_path):
    first, _, _ = search_in(tmp_path, sampler="random")
    digest = read_latency(first.folder).digest
    other = MadeUpMeasuring(clock=Clock(noise=0.1))  # a machine that would say otherwise
    with pytest.raises(RunChangedError, match=r"latency\.batch: 1 in the run, 4 asked for"):
        search_in(tmp_path, other, sampler="random", trials=5, latency_batch=4)
    search_in(tmp_path, other, sampler="random", trials=5)
    assert not other.requests
    assert read_latency(first.folder).digest == digest
    assert len(read_records(first.folder.database)) == 5
    first.folder.latency_json.write_text(json.dumps({"version": 99}))
    with pytest.raises(RunError, match=r"latency\.json: latencies of version 99"):
        read_latency(first.folder)
    first.folder.latency_json.unlink()
    with pytest.raises(RunError, match=r"latency\.json is not there"):
        search_in(tmp_path, other, sampler="random", trials=6)


def test_on_another_device_the_front_is_not_measured_and_that_is_told(tmp_path):
    class Elsewhere(MadeUpMeasuring):
        def measure_whole(self, request, table, candidates, note):
            raise LatencyError("these latencies were measured on a CPU; here it is another")

    outcome, _, notes = search_in(tmp_path, Elsewhere())
    assert "The front was not measured whole: these latencies" in " ".join(notes)
    assert read_latency(outcome.folder).front == ()


def test_a_run_by_parameters_can_measure_latencies_for_its_columns(tmp_path):
    outcome, made_up, _ = search_in(tmp_path, objectives="accuracy,params", latency=True)
    assert "latency" not in outcome.folder.read_config()["identity"]
    assert len(made_up.requests) == 1
    assert all(record.latency for record in read_records(outcome.folder.database))


def test_options_of_latency_without_a_measurement_are_refused():
    with pytest.raises(RunError, match="change nothing where none is measured"):
        SearchOptions(latency_batch=8)
    assert SearchOptions(latency=True, latency_batch=8).latency_options.batch == 8


def test_a_confirmed_candidate_has_no_latency_where_a_block_of_it_was_not_measured(searched):
    outcome, _, _ = searched
    sums, backbone = read_question(outcome.folder).latency, read_space(outcome.folder).backbone
    chosen = choose_candidates(
        ("front", "s2:pre4"), backbone, outcome.findings.credible, latency=sums
    )
    times = {each.placement: each.latency for each in chosen}
    assert times["no SE"] == sums.plain
    assert times["s2:pre4"] is None
    assert times["s2:2 s3:4 s4:8 s5:16"] > sums.plain
    fresh = {
        each.key: Replicates((7, 8, 9), np.array([0.5, 0.51, 0.52]) + row / 100)
        for row, each in enumerate(chosen)
    }
    places = judge_front(chosen, fresh, ("latency",))
    unknown = next(each.key for each in chosen if each.latency is None)
    assert places[unknown] == (False, None)
    assert sum(is_member for is_member, _ in places.values()) > 0
