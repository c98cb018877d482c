"""Made-up fronts, as the accuracy model would return them, and made-up facts of a run."""

from dataclasses import replace
from pathlib import Path

from support.networks import bind

from se_search.analysis.effects import Effect, Effects
from se_search.analysis.pareto import CandidateSummary
from se_search.report.run_facts import RunFacts
from se_search.surrogate.decision import Decision, Settled
from se_search.surrogate.posterior_front import Noise, PosteriorCandidate, PosteriorFront

SPACE = bind([64], [64], [64], width=[4, 8, 16])
PLAIN_PARAMS, PLAIN_MACS = 100_000, 1_000_000
SETTLED = Settled(0.0014, float(PLAIN_PARAMS), 0.002, ())
UNSETTLED = Settled(0.004, float(PLAIN_PARAMS), 0.002, ("more is needed",))
PUT = Decision("put", 0.012, None)
LEAVE = Decision("leave", 0.0031, None)
NOTHING = Decision("nothing", 0.02, "the intervals are too wide")
NOISE = Noise(0.0019, 0.0021, 0.002, 0.0022)


def make_candidate(placement="no SE", gain=0.0, half=0.003, added=0, **known):
    """Return a candidate of ``SPACE`` with a gain, half of its interval and added parameters."""
    candidate = SPACE.parse(placement)
    is_plain = placement == "no SE"
    summary = CandidateSummary(
        candidate=str(candidate),
        key=candidate.key,
        placement=candidate.placement,
        epochs=4,
        accuracy=0.8 + gain,
        accuracy_sd=None,
        loss=0.5,
        num_replicates=known.pop("num_replicates", 1),
        params=PLAIN_PARAMS + added,
        added_params=added,
        added_params_pct=100 * added / PLAIN_PARAMS,
        macs=PLAIN_MACS + 2 * added,
        added_macs=2 * added,
        on_front=True,
    )
    half = 0.0 if is_plain else half
    usual = {
        "gain_sd": half / 1.96,
        "low": gain - half,
        "high": gain + half,
        "probability_better": None if is_plain else 0.9,
        "probability_on_front": 1.0 if is_plain else 0.6,
        "on_front": True,
        "is_listed": True,
        "is_plain": is_plain,
        "is_better": gain - half > 0,
    }
    return PosteriorCandidate(summary, gain, **usual | known)


PLAIN = make_candidate()
GOOD = make_candidate("s2:4", 0.0062, 0.0031, added=200)
DEAR = make_candidate("s2:8 s4:16", 0.007, 0.004, added=4_040, is_listed=False)


def make_front(decision=PUT, settled=SETTLED, candidates=(PLAIN, GOOD, DEAR), **known):
    """Return a front whose recommendation is the first candidate with SE, or none with it."""
    taken = PLAIN if decision.kind == "leave" else GOOD
    usual = {
        "reason": None,
        "unproven": None,
        "noise": NOISE,
        "num_replicates": 8,
        "num_compared": known.get("num_replicates", 8),
        "plain_accuracy": 0.8,
        "recommended_key": taken.summary.key,
        "better_untrained": None,
        "hypervolume": None,
        "attainment": {},
        "effects": None,
    }
    return PosteriorFront(
        candidates=tuple(candidates), decision=decision, settled=settled, **usual | known
    )


def make_facts(run=Path("runs/width"), **known):
    """Return the facts of a run of 200 trials of 6 seconds each, two at a time."""
    usual = {
        "space": SPACE,
        "costs": ("params",),
        "epochs": 4,
        "num_trainings": 200,
        "num_trials": 200,
        "num_wanted": 200,
        "has_ended": True,
        "is_exhausted": False,
        "trial_seconds": 6.0,
        "full_seconds": 6.0,
        "workers": 2,
        "num_validation": 5_000,
        "draws_images": True,
        "holds_for_others": True,
        "has_test": True,
        "arguments": ("--space", "width"),
        "working_directory": Path.cwd(),
        "has_code": False,
    }
    return RunFacts(run=run, **usual | known)


def make_effect(slot, gain, half, *, level="any SE", holds=None, cost_pct=0.2):
    """Return an effect in points that differs from 0 if its interval does, unless told."""
    effect = Effect("slot", slot, level, "no SE", gain, gain - half, gain + half)
    is_sure = abs(gain) > half if holds is None else holds
    return replace(effect, holds=is_sure, cost_pct=cost_pct)


def make_effects(*main):
    """Return the effects of 200 trainings."""
    return Effects(main, (), (), "params", 159, 200, 0, 8)
