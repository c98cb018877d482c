"""What each stage, position and width contributes, against known truths and closed forms."""

import csv
import json
from itertools import product

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from se_search.analysis.effects import MEAN_SLOT, Effect, analyze_effects, read_slots
from se_search.cli import app
from se_search.errors import RunError
from se_search.record import TrialRecord
from se_search.report import effects as report

POSITIONS, WIDTHS = ("standard", "pre", "post"), (4, 16)
NUM_STAGES = 4
SEED_SD = 0.25


def make_trial(text, accuracy, seed=0, *, added=100, state="COMPLETE", number=0):
    """Return a training with an accuracy in points, of a backbone with 10,000 parameters."""
    return TrialRecord(
        number=number,
        state=state,
        candidate=text,
        key=text,
        placement=text,
        seed=seed,
        epochs=4,
        accuracy=None if accuracy is None else accuracy / 100,
        loss=0.1,
        params=10_000 + added,
        added_params=added,
        added_params_pct=added / 100,
        macs=1,
        added_macs=0,
        seconds=1.0,
        reason=None,
    )


def write_text(levels):
    """Return the text of a candidate: for each stage -1 (no SE), or position and width in one."""
    parts = [
        f"stage{stage}={POSITIONS[level // 2]}:{WIDTHS[level % 2]}"
        for stage, level in enumerate(levels, start=2)
        if level >= 0
    ]
    return "/".join(["net", *parts])


class Truth:
    """Accuracies in points: main effects, interactions of two stages, and each its deviation."""

    def __init__(self, rng, main, pairs, deviation):
        self.presence = rng.normal(0, main, NUM_STAGES)
        self.positions = rng.normal(0, main / 2, (NUM_STAGES, 3))
        self.widths = rng.normal(0, main / 4, (NUM_STAGES, 2))
        self.pairs = np.triu(rng.normal(0, pairs, (NUM_STAGES, NUM_STAGES)), 1)
        self.deviations = {
            levels: rng.normal(0, deviation) for levels in product(range(-1, 6), repeat=NUM_STAGES)
        }

    def accuracy(self, levels):
        array = np.array(levels)
        carries = array >= 0
        stages = np.flatnonzero(carries)
        main = self.presence[stages] + self.positions[stages, array[stages] // 2]
        main = main + self.widths[stages, array[stages] % 2]
        return 90 + main.sum() + carries @ self.pairs @ carries + self.deviations[levels]

    def gain(self, effect, candidates):
        if effect.slot == MEAN_SLOT:
            slots = range(NUM_STAGES)
        else:
            slots = [int(effect.slot.removeprefix("stage")) - 2]
        return np.mean([self._gain_in(slot, effect, np.array(candidates)) for slot in slots])

    def _gain_in(self, slot, effect, levels):
        own = levels[levels[:, slot] >= 0, slot]
        positions, widths = own // 2, own % 2
        if effect.kind == "position":
            positions = np.array([POSITIONS.index(effect.level)])
        if effect.kind == "width":
            widths = np.array([WIDTHS.index(int(effect.level.removeprefix("width ")))])
        elsewhere = (levels >= 0).mean(axis=0)
        both = (self.pairs + self.pairs.T)[slot]
        return (
            self.presence[slot]
            + self.positions[slot, positions].mean()
            + self.widths[slot, widths].mean()
            + both @ elsewhere
        )


def draw_candidates(rng, count):
    """Draw different candidates from a space in which some stages and levels are rare."""
    carries = rng.uniform(0.35, 0.8, NUM_STAGES)
    shares = rng.dirichlet([4, 4, 4, 4, 4, 4])
    drawn = {}
    while len(drawn) < count:
        levels = rng.choice(6, NUM_STAGES, p=shares)
        drawn[tuple(np.where(rng.random(NUM_STAGES) < carries, levels, -1).tolist())] = None
    return list(drawn)


def train(rng, truth, candidates):
    """Return a training of each candidate, and of every fifth up to four more."""
    return [
        make_trial(write_text(levels), truth.accuracy(levels) + rng.normal(0, SEED_SD), seed)
        for levels in candidates
        for seed in range(1 + (rng.random() < 0.2) * int(rng.integers(1, 5)))
    ]


def search(rng, truth, count):
    """Return the trials of a greedy search: mostly what looks best, often again."""
    space = draw_candidates(rng, 250)
    array = np.array(space)
    design = np.column_stack(
        [np.ones(len(space)), *(array[:, s] == k for s in range(NUM_STAGES) for k in range(6))]
    ).astype(float)
    numbers = rng.choice(len(space), 30, replace=False).tolist()
    values = [truth.accuracy(space[n]) + rng.normal(0, SEED_SD) for n in numbers]
    while len(numbers) < count:
        rows, gains = design[numbers], np.array(values) - np.mean(values)
        weights = np.linalg.solve(rows.T @ rows + np.eye(rows.shape[1]), rows.T @ gains)
        predicted = design @ weights
        for number in set(numbers):
            own = [gain for n, gain in zip(numbers, gains, strict=True) if n == number]
            predicted[number] = (predicted[number] + np.mean(own)) / 2
            if len(own) == 5:
                predicted[number] = -np.inf
        for number in np.argsort(-predicted)[:5].tolist():
            numbers.append(number)
            values.append(truth.accuracy(space[number]) + rng.normal(0, SEED_SD))
    trials = [
        make_trial(write_text(space[n]), value) for n, value in zip(numbers, values, strict=True)
    ]
    return [space[n] for n in dict.fromkeys(numbers)], trials


def covers(effect, gain):
    return effect.low <= gain <= effect.high


def by_name(effects):
    return {(effect.slot, effect.level): effect for effect in effects}


def test_intervals_hold_the_truth_of_unbalanced_designs_in_95_percent_of_the_cases():
    held, pairs_held = [], []
    for seed, count in enumerate((60, 90, 120) * 14):
        rng = np.random.default_rng(seed)
        truth = Truth(rng, main=0.3, pairs=0.15, deviation=0.1)
        candidates = draw_candidates(rng, count)
        found = analyze_effects(train(rng, truth, candidates))
        held += [covers(e, truth.gain(e, candidates)) for e in found.main if e.gain is not None]
        for effect in found.interactions:
            one, other = (int(s.removeprefix("stage")) - 2 for s in effect.slot.split(" x "))
            pairs_held.append(covers(effect, truth.pairs[one, other]))
    assert len(held) > 1_000
    assert 0.92 <= np.mean(held) <= 0.98
    assert 0.92 <= np.mean(pairs_held) <= 0.98


def test_where_there_are_no_effects_hardly_any_family_marks_one():
    marked = []
    for seed in range(70):
        rng = np.random.default_rng(seed)
        truth = Truth(rng, main=0.0, pairs=0.0, deviation=0.1)
        found = analyze_effects(train(rng, truth, draw_candidates(rng, 80)))
        marked.append(any(effect.holds for effect in found.main))
    assert np.mean(marked) <= 0.06


def test_the_trials_of_a_greedy_search_bias_gains_by_a_few_hundredths_of_a_point():
    held, errors = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        truth = Truth(rng, main=0.3, pairs=0.0, deviation=0.1)
        candidates, trials = search(rng, truth, 120)
        for effect in analyze_effects(trials).main:
            if effect.gain is not None:
                held.append(covers(effect, truth.gain(effect, candidates)))
                errors.append(effect.gain - truth.gain(effect, candidates))
    assert abs(np.mean(errors)) < 0.05
    assert np.mean(held) >= 0.9


def full_factorial(accuracy):
    """Return a trial of each of 2^4 placements with the seeds of each."""
    trials = []
    for carries in product((0, 1), repeat=NUM_STAGES):
        text = "/".join(["net", *(f"stage{s + 2}=pre:4" for s in range(4) if carries[s])])
        added = 100 * sum(c * 2**s for s, c in enumerate(carries))
        trials += [make_trial(text, a, i, added=added) for i, a in enumerate(accuracy(carries))]
    return trials


def test_a_balanced_factorial_has_the_textbook_effects_intervals_and_p_values():
    rng = np.random.default_rng(2)
    values = {c: rng.normal(90 + c[0], 0.3, 3) for c in product((0, 1), repeat=4)}
    found = analyze_effects(full_factorial(lambda carries: values[carries]))
    means = {c: v.mean() for c, v in values.items()}
    z = np.array(list(means))
    y = np.array(list(means.values()))
    signs = 2 * z - 1
    # Sixteen candidates are too few for interactions, whose six coefficients come on top of five.
    design = np.column_stack([np.ones(16), signs])
    fitted = design @ (design.T @ y) / 16
    assert found.freedom == 11
    error = np.sqrt(((y - fitted) ** 2).sum() / found.freedom / 4)
    for stage, effect in enumerate(found.main[:4]):
        gain = y[z[:, stage] == 1].mean() - y[z[:, stage] == 0].mean()
        low, high = stats.t.interval(0.95, found.freedom, gain, error)
        assert (effect.gain, effect.low, effect.high) == pytest.approx((gain, low, high))
        assert effect.p == pytest.approx(2 * stats.t.sf(abs(gain) / error, found.freedom))
        assert (effect.num_candidates, effect.num_trainings) == (8, 24)


def test_costs_of_levels_are_those_of_their_blocks_and_divide_the_gain():
    found = analyze_effects(
        full_factorial(lambda c: [90 + 0.5 * c[0] - 0.2 * c[3] + 0.01 * (sum(c) % 3)])
    )
    stages = found.main[:4]
    assert [effect.cost_pct for effect in stages] == pytest.approx([1, 2, 4, 8])
    assert stages[3].gain_per_pct == pytest.approx(stages[3].gain / 8)


def test_p_values_are_those_of_holm():
    rng = np.random.default_rng(3)
    truth = Truth(rng, main=0.3, pairs=0.1, deviation=0.1)
    found = analyze_effects(train(rng, truth, draw_candidates(rng, 100)))
    tested = [effect for effect in found.main if effect.p is not None]
    for effect in tested:
        # By its definition: the largest over the effects that are tested before it.
        before = [other for other in tested if other.p <= effect.p]
        ranks = [sum(o.p >= other.p for o in tested) for other in before]
        expected = max(min(1, o.p * r) for o, r in zip(before, ranks, strict=True))
        assert effect.p_holm == pytest.approx(expected)
        assert effect.holds == (expected <= 0.05)


def test_an_interaction_without_noise_is_found_to_the_digit():
    trials = []
    for number, levels in enumerate(product((-1, 0, 1, 2, 3), repeat=2)):
        gain = 0.3 * (levels[0] >= 0) + 0.1 * (levels[1] >= 0)
        both = -0.25 * (min(levels) >= 0)
        trials.append(make_trial(write_text(levels), 90 + gain + both, number=number))
    found = analyze_effects(trials)
    (pair,) = found.interactions
    assert pair.gain == pytest.approx(-0.25)
    # Four in five candidates carry SE in the other stage.
    assert found.main[0].gain == pytest.approx(0.3 - 0.25 * 0.8)


def test_what_the_candidates_cannot_tell_apart_has_no_number():
    """Stage 4 carries SE exactly where stage 2 or stage 3 does, and those two never both."""
    trials = []
    for number, (choice, last) in enumerate(product(range(9), (0, 1))):
        settings = {}
        if choice:
            settings = {f"stage{2 + choice % 2}": 2 ** (1 + choice // 2), "stage4": 4}
        settings |= {"stage5": 8} if last else {}
        parts = [f"{where}=pre:{width}" for where, width in settings.items()]
        accuracy = 90 + last + 0.1 * (number % 3)
        trials.append(make_trial("/".join(["net", *parts]), accuracy, number=number))
    found = by_name(analyze_effects(trials).main)
    for stage in ("stage2", "stage3", "stage4"):
        effect = found[stage, "any SE"]
        assert effect.gain is None
        assert effect.p_holm is None
        assert "not to be told" in effect.reason
    assert found["stage5", "any SE"].gain == pytest.approx(1, abs=0.1)


def test_at_equal_cost_the_place_is_compared_not_the_amount():
    """Accuracy grows with cost alone, so SE in stage 5 gains, but not at the same cost."""
    rng = np.random.default_rng(5)
    trials = []
    for number, (one, other) in enumerate(product((0, 4, 8, 16, 32), (0, 8, 16, 32, 64))):
        for third in (0, 2, 4, 6):
            settings = {"stage2": one, "stage5": other, "stage3": third}
            parts = [f"{where}=standard:{width}" for where, width in settings.items() if width]
            added = 10 * one + 10 * other + third
            accuracy = 90 + 0.2 * np.log2(1 + added) + rng.normal(0, 0.02)
            trials.append(make_trial("/".join(["net", *parts]), accuracy, number, added=added))
    found = analyze_effects(trials)
    raw = by_name(found.main)
    assert raw["stage5", "any SE"].gain - raw["stage2", "any SE"].gain > 0.1
    matched = {(e.level, e.reference): e for e in found.matched}
    contrast = matched["SE in stage2", "in stage5"]
    assert covers(contrast, 0)
    assert abs(contrast.gain) < 0.1


def test_blocks_are_slots_where_candidates_name_them_and_the_rest_is_one():
    slots = read_slots(
        [
            "net",
            "net/stage2=pre:4",
            "net/stage3.block1=pre:4",
            "net/stage3.block1-2=pre:8",
            "net/stage3=pre:8",
        ]
    )
    assert [slot.name for slot in slots] == [
        "stage2",
        "stage3.block1",
        "stage3.block2",
        "stage3.rest",
    ]
    assert slots[2].carries.tolist() == [False, False, False, True, True]


def test_blocks_that_carry_the_same_ratio_in_other_widths_are_one_stage():
    slots = read_slots(
        [
            "net",
            "net/stage3.block1=pre:2/stage3.block2=pre:4",
            "net/stage3.block1=pre:8/stage3.block2=pre:16",
            "net/stage3=standard:16",
        ]
    )
    (slot,) = slots
    assert slot.name == "stage3"
    assert slot.widths == ("", "1/4 of widest", "widest", "widest")


def test_a_network_that_chooses_once_for_all_stages_is_one_slot():
    (slot,) = read_slots(["net", "net/stage2=pre:4/stage3=pre:8", "net/stage2=pre:8/stage3=pre:16"])
    assert slot.name == "stage2+stage3"


def test_a_space_without_none_compares_levels_with_their_mean():
    trials = [
        make_trial(f"net/stage2={one}:4/stage3={other}:{width}", 90 + (one == "pre") + noise)
        for (one, other, width), noise in zip(
            product(POSITIONS, POSITIONS, WIDTHS), np.sin(np.arange(18)) / 100, strict=True
        )
    ]
    found = by_name(analyze_effects(trials).main)
    assert found["stage2", "pre"].reference == "mean"
    assert found["stage2", "pre"].gain == pytest.approx(2 / 3, abs=0.02)
    assert found["stage2", "post"].gain == pytest.approx(-1 / 3, abs=0.02)


def test_texts_that_are_no_placement_are_refused():
    with pytest.raises(RunError, match=r"'x=3' is not SITE=BLOCK"):
        analyze_effects([make_trial("table/x=3", 90.0)])


def test_too_few_candidates_are_told_how_many_are_needed():
    trials = [make_trial("net", 90.0), make_trial("net/stage2=pre:4", 91.0)]
    with pytest.raises(RunError, match=r"2 candidates .* 1 slots \(stage2\) need 7 or more"):
        analyze_effects(trials)


def test_short_trainings_are_counted_but_not_used():
    trials = full_factorial(lambda c: [90 + c[0] + 0.1 * (sum(c) % 3)])
    short = [make_trial("net/stage2=pre:4", 10.0, 7, state="PRUNED")]
    assert analyze_effects(trials + short).main == analyze_effects(trials).main
    assert analyze_effects(trials + short).num_short == 1


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return the folder of a run with 60 candidates, whose trials are made up."""
    rng = np.random.default_rng(11)
    truth = Truth(rng, main=0.3, pairs=0.1, deviation=0.1)
    trials = train(rng, truth, draw_candidates(rng, 60))
    (tmp_path / "trials.db").touch()
    (tmp_path / "config.yaml").write_text("study: {epochs: 4}\n")
    monkeypatch.setattr(report, "read_records", lambda path: trials)
    return tmp_path


def test_the_command_says_how_many_effects_were_tested_and_writes_its_files(run):
    result = CliRunner().invoke(app, ["effects", str(run)])
    assert result.exit_code == 0, result.output
    with (run / "effects.csv").open() as file:
        rows = list(csv.DictReader(file))
    main = [row for row in rows if row["family"] == "main effects"]
    marked = sum(row["holds"] == "True" for row in main)
    tested = sum(row["gain"] != "" for row in main)
    assert f"{tested} main effects tested, {marked} marked" in result.output
    assert (run / "effects.png").read_bytes().startswith(b"\x89PNG")


def test_json_has_every_effect(run):
    result = CliRunner().invoke(app, ["effects", str(run), "--json"])
    event = json.loads(result.output)
    assert event["event"] == "effects"
    with (run / "effects.csv").open() as file:
        assert len(event["effects"]) == sum(1 for _ in csv.DictReader(file))


def test_of_many_contrasts_only_those_that_hold_are_shown(run, monkeypatch):
    monkeypatch.setattr(report, "MAX_CONTRASTS", 3)
    result = CliRunner().invoke(app, ["effects", str(run)])
    with (run / "effects.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["family"] == "interactions"]
    assert len(rows) == 6
    for row in rows:
        assert (row["slot"] in result.output) == (row["holds"] == "True")
    assert "only those that hold are shown" in result.output


def test_an_effect_that_is_not_known_is_drawn_and_told_as_such(tmp_path):
    unknown = Effect("slot", "stage2", "any SE", "no SE", reason="why")
    rng = np.random.default_rng(12)
    truth = Truth(rng, main=0.3, pairs=0.1, deviation=0.1)
    found = analyze_effects(train(rng, truth, draw_candidates(rng, 60)))
    assert unknown.gain_per_pct is None
    assert not unknown.holds
    object.__setattr__(found, "main", (unknown, *found.main))
    report.draw_effects(tmp_path / "effects.png", found, "title")
    assert "stage2 any SE" in report.caution(found)
