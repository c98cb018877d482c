"""Compares the closed-form costs with fvcore's on random candidates of every catalogued backbone.

    python benchmarks/check_costs.py [--candidates 2000] [--seed 0] [--part 0/1]

Each candidate has, at each site, no SE or a random block: integration, kind, squeeze, gate, gate
start, bias and width. Images are small, since both counts are exact at any size. Prints a line for
each backbone with the numbers of candidates and of differences; exits with 1 if any differ.
"""

from __future__ import annotations

import argparse
import copy
import math
import random
import sys
import time

from se_search.backbone import Backbone, Site
from se_search.candidate import GATE_INITS, GATES, KINDS, SE, SQUEEZES, Candidate
from se_search.cost import count_cost
from se_search.errors import CandidateError
from se_search.models.backbones import construct
from se_search.models.catalogue import describe_backbone
from se_search.models.names import SHAPES
from se_search.models.profile import profile
from se_search.models.surgery import insert
from se_search.models.trace import trace_cost

IMAGE_SIZE = 64
# Some networks shrink small images to nothing.
IMAGE_SIZES = {"inception_resnet_v2": 96, "resnet20_bottleneck": 28}
# Tracing a deep network takes seconds, so networks with few sites get more of the candidates.
FEW, SHALLOW = 20, 10


def draw_block(site: Site, rng: random.Random) -> SE | None:
    """Return a random block that a site can carry, or None."""
    while rng.random() < 0.7:
        integration = rng.choice(list(site.feature_maps))
        width = rng.choice([1, 2, 3, 8, 16, 40])
        if integration == "native":
            original = [site.native.width] if site.native else []
            return SE("native", rng.choice([width, *original]))
        try:
            kind = rng.choice(KINDS + ("se",) * 5)
            if kind != "se":
                return SE(integration, 0, kind=kind)
            return SE(
                integration,
                width,
                rng.choice(SQUEEZES),
                rng.choice(GATES),
                rng.random() < 0.5,
                rng.choice(GATE_INITS),
            )
        except CandidateError:
            continue  # the combination is not allowed
    return None


def draw_candidate(backbone: Backbone, rng: random.Random) -> Candidate:
    """Return a candidate with a random block, or none, at each site."""
    return Candidate(backbone, tuple(draw_block(site, rng) for site in backbone.sites))


def compare(candidate: Candidate, plain: object) -> bool:
    """Tell whether both counts are equal in every part, and the text form is read back."""
    model = copy.deepcopy(plain)
    insert(model, candidate, seed=0)
    traced, counted = trace_cost(model, candidate.backbone), count_cost(candidate)
    return (
        traced.params == counted.params
        and traced.added_params == counted.added_params
        and traced.macs == counted.macs
        and dict(traced.by_stage) == dict(counted.by_stage)
        and dict(traced.by_operator) == dict(counted.by_operator)
        and Candidate.parse(str(candidate), candidate.backbone) == candidate
    )


def main() -> None:
    """Compare, print, and exit with 1 if any candidate differs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--candidates", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", default="0/1", help="which share of the backbones: 1/2")
    options = parser.parse_args()
    part, num_parts = map(int, options.part.split("/"))
    num_sites = {name: len(describe_backbone(name, *shape).sites) for name, shape in SHAPES.items()}
    num_shallow = sum(count <= SHALLOW for count in num_sites.values())
    num_more = max(0, math.ceil((options.candidates - FEW * len(SHAPES)) / num_shallow))
    names = sorted(SHAPES, key=num_sites.__getitem__)[part::num_parts]
    total = wrong = 0
    for name in names:
        started = time.monotonic()
        channels = SHAPES[name][0]
        size = IMAGE_SIZES.get(name, 32 if SHAPES[name][1] == 32 else IMAGE_SIZE)
        backbone = profile(name, channels, size, 10)
        plain = construct(name, channels, 10, seed=0)
        rng = random.Random(f"{options.seed}/{name}")
        count = FEW + (num_more if num_sites[name] <= SHALLOW else 0)
        differences = 0
        for _ in range(count):
            candidate = draw_candidate(backbone, rng)
            if not compare(candidate, plain):
                differences += 1
                print(f"DIFFERENT: {candidate}", file=sys.stderr)
        total, wrong = total + count, wrong + differences
        seconds = time.monotonic() - started
        print(f"{name:24} {count:5} candidates, {differences} differ, {seconds:6.1f} s", flush=True)
    print(f"{total} candidates of {len(names)} backbones, {wrong} differ")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
