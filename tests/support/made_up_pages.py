"""What a page is made of, made up: a run with a front, effects, a history and a confirmation."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

from support.made_up_configs import CONFIG
from support.made_up_evidence import make_evidence
from support.made_up_fronts import (
    GOOD,
    PLAIN,
    make_candidate,
    make_effect,
    make_effects,
    make_facts,
    make_front,
)
from support.made_up_gates import NAMES, make_found
from support.records import make_record

from se_search.analysis.confirmation import Chosen, ClaimResult, Confirmation, Confirmed, Gain
from se_search.analysis.confirming import Stated
from se_search.analysis.sequential import LookPlan
from se_search.report.answer import make_answer
from se_search.report.source import Source
from se_search.store.confirmations import Round
from se_search.surrogate.history import History, HistoryPoint
from se_search.surrogate.posterior_front import MedianInterval, Step

PLANTED = '<script>window.planted = 1</script><img src=x onerror="window.planted = 2">'

EFFECTS = make_effects(
    make_effect("stage2", 0.55, 0.2),
    make_effect("stage2", 0.6, 0.25, level="width 4"),
    make_effect("stage3", -0.4, 0.1),
    make_effect("stage4", 0.05, 0.3),
)
BAND = (Step(100_000, 0.0, 0.0, 0.0), Step(100_200, 0.006, 0.003, 0.009))
FRONT = make_front(effects=EFFECTS, attainment={"params": BAND})


EVIDENCE = make_evidence(bias=0.006)
GATES = make_found()


def make_point(trainings, found, at_random, gap, seconds=6.0):
    return HistoryPoint(
        trainings,
        trainings * seconds,
        MedianInterval(found, found - 0.001, found + 0.001),
        MedianInterval(at_random, at_random - 0.001, at_random + 0.001),
        gap,
    )


HISTORY = History(
    (
        make_point(4, 0.001, 0.001, None),
        make_point(100, 0.004, 0.002, 0.005),
        make_point(200, 0.005, 0.003, 0.0014),
    ),
    "params",
    0.002,
)
RECORDS = (
    make_record("a", 0.8),
    make_record("b", 0.81, seed=1),
    *(
        replace(make_record("c", 0.0, state="FAIL"), number=number, reason="loss is not finite")
        for number in (2, 3)
    ),
)


def make_round():
    """Return a confirmation of ``GOOD`` in eight replicates, beside the plain network."""
    rows = {"s2:4": GOOD, "no SE": PLAIN}
    chosen = {
        name: {
            "candidate": row.summary.candidate,
            "key": row.summary.key,
            "placement": name,
            "roles": ("front",) if name == "s2:4" else ("plain backbone",),
            "params": row.summary.params,
            "added_params": row.summary.added_params,
            "added_params_pct": row.summary.added_params_pct,
            "macs": row.summary.macs,
            "added_macs": row.summary.added_macs,
            "search_accuracy": 0.8,
            "search_replicates": 2,
            "search_gain": row.gain,
        }
        for name, row in rows.items()
    }
    claim = ClaimResult(
        f"{GOOD.summary.key} > {PLAIN.summary.key}",
        GOOD.summary.key,
        PLAIN.summary.key,
        *("supported", "supported", "decided"),
        num_replicates=8,
        look=1,
        difference=0.004,
        low=0.0005,
        high=0.0075,
        p_support=0.01,
    )
    good = Confirmed(
        **chosen["s2:4"],
        num_replicates=8,
        accuracy=0.805,
        test_accuracy=0.79,
        gain=Gain(0.005, 8, 0.001, 0.009),
        test_gain=Gain(0.004, 8, 0.0005, 0.0075),
        claim=claim,
    )
    plain = Confirmed(**chosen["no SE"], num_replicates=8, accuracy=0.8, test_accuracy=0.786)
    return Round(
        started="2026-01-02T03:04:05+00:00",
        asked_for=("front",),
        chosen=tuple(Chosen(**each) for each in chosen.values()),
        stated=Stated(LookPlan((8,)), (), ()),
        seeds=tuple(range(1_000_000, 1_000_008)),
        epochs=4,
        num_trials=200,
        num_images=(5_000, 10_000),
        reads_test=True,
        result=Confirmation((plain, good), (), None, 0.002, 0.0012, 8, 0),
    )


def make_source(front=FRONT, facts=None, **known):
    """Return what a page is made of: a confirmed run of 200 trials that puts SE into stage 2."""
    facts = make_facts(evidence=EVIDENCE) if facts is None else facts
    rounds = known.pop("rounds", (make_round(),))
    config = deepcopy(known.pop("config", CONFIG))
    usual = {
        "config": config,
        "records": RECORDS,
        "rounds": rounds,
        "history": HISTORY,
        "gates": GATES,
    }
    answer = make_answer(front, facts, rounds[-1] if rounds else None)
    return Source(facts=facts, front=front, answer=answer, **usual | known)


def plant_names():
    """Return a source in which all that comes from names has mark-up in it."""
    config = deepcopy(CONFIG)
    config["identity"]["backbone"]["name"] = PLANTED
    config["identity"]["data"]["name"] = f"folder:{PLANTED}"
    config["search"] |= {"space": PLANTED, "recipe": PLANTED, "sampler": PLANTED}
    config["command"] = ["se-search", "run", "--data", f"folder:{PLANTED}"]
    config["hardware"]["name"] = PLANTED
    records = [
        replace(each, reason=PLANTED if each.reason else None, placement=PLANTED)
        for each in RECORDS
    ]
    candidates = [
        replace(each, summary=replace(each.summary, placement=PLANTED))
        for each in (PLAIN, GOOD, make_candidate("s3:4", 0.001, added=100, is_listed=False))
    ]
    facts = make_facts(run=Path("runs") / PLANTED.replace("/", "-"), arguments=("--space", PLANTED))
    return make_source(
        replace(FRONT, candidates=tuple(candidates), reason=PLANTED),
        facts,
        config=config,
        records=records,
        gates=make_found(names=[PLANTED, *NAMES[1:]], placement=PLANTED),
    )
