"""What has been seen of gates, made up: blocks of known means, class shares and drops."""

import numpy as np

from se_search.analysis.gate_rows import list_places, tabulate
from se_search.analysis.gates import GateReading, GateTally
from se_search.candidate import Candidate
from se_search.models.catalogue import describe_backbone
from se_search.report.gates import choose_panels, make_profile
from se_search.store.gates_file import GatesFound

SMALL = describe_backbone("resnet20_bottleneck", 1, 28, 10)
NUM_IMAGES, NUM_CLASSES = 400, 4
NAMES = ["cat", "dog", "newt", "owl"]


def make_candidate(text="stage2=standard:4/stage3=standard:4/stage5=standard:16"):
    return Candidate.parse(f"{SMALL.name}/{text}", SMALL)


def make_reading(
    lost=(0, 40, 4, 1), spread=0.05, mean=0.8, seed=0, candidate=None, num_classes=NUM_CLASSES
):
    """Return a reading: of each block so many images are lost with constants for its gates."""
    candidate = candidate or make_candidate()
    rng = np.random.default_rng(seed)
    labels = np.arange(NUM_IMAGES) % num_classes
    sites = [
        (site, block)
        for site, block in zip(candidate.backbone.sites, candidate.blocks, strict=True)
        if block
    ]
    blocks, constants, drops = {}, {}, {}
    for number, (site, block) in enumerate(sites):
        channels = site.feature_map(block.integration).channels
        by_class = number * spread * rng.normal(size=(num_classes, channels))
        gates = mean + by_class[labels] + spread * rng.normal(size=(NUM_IMAGES, channels))
        constants[site.name] = gates.mean(axis=0)
        tally = GateTally(num_classes, constants[site.name])
        tally.add(gates, labels)
        blocks[site.name] = tally.finish()
        drops[site.name] = lost[number % len(lost)]
    correct = np.arange(NUM_IMAGES) < 360
    without = {}
    for chosen in list_places(candidate).values():
        without[chosen] = correct & (np.arange(NUM_IMAGES) >= sum(drops[site] for site in chosen))
    return GateReading(blocks, constants, correct, without)


def make_found(readings=None, candidate=None, names=NAMES, **known):
    candidate = candidate or make_candidate()
    readings = readings or {3: make_reading(candidate=candidate)}
    first = next(iter(readings.values()))
    panels = choose_panels(list(first.blocks))
    usual = {
        "candidate": str(candidate),
        "placement": candidate.placement,
        "made": "2026-01-02T03:04:05+00:00",
        "replicates": tuple(readings),
        "trained": (),
        "epochs": 4,
        "accuracy": 0.9,
        "num_train": 300,
        "num_validation": NUM_IMAGES,
        "num_classes": NUM_CLASSES,
        "rows": tuple(tabulate(readings, candidate)),
        "profiles": tuple(make_profile(s, first.blocks[s], names, [0, 2]) for s in panels),
        "versions": {"torch": "2.14.1"},
    }
    return GatesFound(**usual | known)
