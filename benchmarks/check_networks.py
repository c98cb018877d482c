"""Checks that SE is counted and trained in networks of torchvision and timm, family by family.

    python benchmarks/check_networks.py [--only NAME ...] [--processes 2]

Each network gets small images and few classes. It is described (its sites are found by running
it), and then
- the closed form of the costs is compared with fvcore's count, of the network without SE and of
  random candidates;
- for each integration a candidate with SE at every site that can have it is trained two steps by
  SGD, and each weight of SE must get a finite gradient;
- the candidate with the SE that the network came with, and no other, must compute what the
  library's network computes.
Networks that must be refused are listed with the sentences that they are refused with. Prints a
line a network; exits with 1 if any network fails, or is not refused that should be.
"""

from __future__ import annotations

import argparse
import copy
import multiprocessing
import random
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from se_search.backbone import INTEGRATIONS, Backbone, Integration
from se_search.candidate import SE, Candidate, squeeze_width
from se_search.cost import count_cost
from se_search.errors import SESearchError
from se_search.models.backbones import construct
from se_search.models.profile import profile
from se_search.models.surgery import build, insert, se_parameters
from se_search.models.trace import trace_cost
from se_search.seeds import derive_seed

NUM_CLASSES = 5
NUM_RANDOM = 2  # random candidates a network, whose costs are traced
REDUCTION = 4
BATCH = 4
LEARNING_RATE = 1e-5  # batch norm over four pixels makes large gradients

# Names with the size of their images in pixels: the smallest that the network takes, or near it.
TIMM = {
    "resnet18": 32, "resnet26d": 32, "resnext50_32x4d": 32, "wide_resnet50_2": 32,
    "seresnet18": 32, "seresnext26d_32x4d": 32, "resnetv2_50": 32, "resnetv2_50x1_bit": 32,
    "resnetv2_50d_gn": 32, "resnetblur18": 32, "res2net50_26w_4s": 32, "res2next50": 32,
    "dla34": 64, "dla46x_c": 64, "densenet121": 32, "convnext_atto": 64, "convnext_femto_ols": 64,
    "repvgg_a0": 32, "mobileone_s0": 32, "regnetx_002": 32, "regnety_002": 32, "regnetz_b16": 32,
    "mobilenetv1_100": 32, "mobilenetv2_100": 32, "mobilenetv3_small_100": 32,
    "mobilenetv3_large_100": 32, "mobilenetv4_conv_small": 32, "efficientnet_b0": 32,
    "efficientnet_lite0": 32, "efficientnetv2_rw_t": 32, "tf_efficientnet_cc_b0_4e": 32,
    "mnasnet_100": 32, "semnasnet_100": 32, "fbnetc_100": 32, "spnasnet_100": 32, "lcnet_100": 32,
    "tinynet_e": 32, "mixnet_s": 32, "hardcorenas_a": 32, "ghostnet_100": 32,
    "hrnet_w18_small": 64, "vovnet39a": 64, "cspresnet50": 64, "cspdarknet53": 64,
    "darknet53": 64, "nf_resnet26": 32, "nf_regnet_b0": 32, "nfnet_f0": 64, "dm_nfnet_f0": 64,
    "xception41": 64, "inception_v3": 96, "inception_v4": 96, "inception_resnet_v2": 96,
    "vgg11_bn": 32, "tresnet_m": 64, "selecsls42": 64, "poolformer_s12": 64, "starnet_s1": 64,
    "mobilevit_xxs": 64, "edgenext_xx_small": 64, "efficientvit_b0": 64, "coatnet_pico_rw_224": 224,
    "legacy_seresnet18": 32, "legacy_senet154": 64, "dpn68": 64,
    "fastvit_t8": 64, "repghostnet_050": 32, "hgnetv2_b0": 64, "inception_next_atto": 64,
}  # fmt: skip
TORCHVISION = {
    "resnet18": 32, "resnext50_32x4d": 32, "wide_resnet50_2": 32, "vgg11_bn": 32, "googlenet": 48,
    "mobilenet_v2": 32, "mobilenet_v3_small": 32, "mobilenet_v3_large": 32, "mnasnet0_5": 32,
    "efficientnet_b0": 32, "efficientnet_v2_s": 32, "regnet_x_400mf": 32, "regnet_y_400mf": 32,
    "shufflenet_v2_x0_5": 32, "squeezenet1_1": 64, "maxvit_t": 224,
    "torchvision:densenet121": 32, "torchvision:convnext_tiny": 64,
    "torchvision:inception_v3": 96,
}  # fmt: skip
REFUSED = {
    "ecaresnet26t": 64, "ese_vovnet19b_dw": 64, "skresnet18": 64, "resnest14d": 64,
    "gcresnext26ts": 64, "convnextv2_atto": 64, "botnet26t_256": 256, "bat_resnext26ts": 256,
    "rexnet_100": 64, "levit_conv_128s": 224, "alexnet": 64, "swin_t": 64, "vit_b_32": 224,
    "vit_tiny_patch16_224": 224, "swin_tiny_patch4_window7_224": 224, "mixer_s32_224": 224,
}  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What the check of one network came to.

    Attributes:
        name: of the network.
        sites: how many sites it has.
        stages: how many sites each stage has, as ``2 3 4``.
        integrations: the integrations that some of its sites can have.
        native: how many of its sites have an SE block that the network came with.
        seconds: CPU time of the check.
        problems: what is wrong; empty if nothing is.
    """

    name: str
    sites: int
    stages: str
    integrations: str
    native: int
    seconds: float
    problems: tuple[str, ...]


def main() -> None:
    """Check, print, and exit with 1 if anything is wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=(), help="names of networks")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    listed = {f"timm:{name}": size for name, size in TIMM.items()} | TORCHVISION
    listed = {n: size for n, size in listed.items() if not options.only or n in options.only}
    refused = {n: size for n, size in REFUSED.items() if not options.only or n in options.only}
    context = multiprocessing.get_context("spawn")
    print(f"{'network':32} sites native  {'sites a stage':24} {'CPU s':>6}  integrations: result")
    num_wrong = 0
    with ProcessPoolExecutor(options.processes, mp_context=context, initializer=_be_quiet) as pool:
        for result in pool.map(check, listed, listed.values()):
            num_wrong += bool(result.problems)
            what = "; ".join(result.problems) or "ok"
            print(
                f"{result.name:32} {result.sites:5} {result.native:6}  {result.stages:24} "
                f"{result.seconds:6.1f}  {result.integrations}: {what}",
                flush=True,
            )
        for name, sentence in zip(
            refused, pool.map(read_refusal, refused, refused.values()), strict=True
        ):
            num_wrong += sentence is None
            print(f"{name}: {'NOT REFUSED' if sentence is None else sentence}", flush=True)
    print(f"{len(listed)} networks, {len(refused)} to be refused: {num_wrong} wrong")
    sys.exit(num_wrong > 0)


def check(name: str, image_size: int) -> Result:
    """Describe a network and check its costs, its gradients and its plain candidate."""
    started = time.process_time()
    try:
        backbone = profile(name, 3, image_size, NUM_CLASSES)
    except SESearchError as error:
        seconds = time.process_time() - started
        return Result(name, 0, "", "", 0, seconds, (str(error).splitlines()[0],))
    problems = list(_find_problems(name, backbone))
    stages = [site.stage for site in backbone.sites]
    possible = dict.fromkeys(one for site in backbone.sites for one in site.feature_maps)
    return Result(
        name,
        len(backbone.sites),
        " ".join(str(stages.count(stage)) for stage in backbone.stages),
        ", ".join(possible),
        sum(site.native is not None for site in backbone.sites),
        time.process_time() - started,
        tuple(problems),
    )


def read_refusal(name: str, image_size: int) -> str | None:
    """Return the first line of the sentence with which a network is refused; None: it is not."""
    try:
        profile(name, 3, image_size, NUM_CLASSES)
    except SESearchError as error:
        return str(error).splitlines()[0]
    return None


def _find_problems(name: str, backbone: Backbone) -> Iterator[str]:
    network = construct(name, 3, NUM_CLASSES, derive_seed(0, "backbone"))
    rng = random.Random(name)
    for candidate in [
        Candidate.plain(backbone),
        *(_draw(backbone, rng) for _ in range(NUM_RANDOM)),
    ]:
        try:
            yield from _compare_costs(_insert(network, candidate), candidate)
        except Exception as error:  # whatever it is, the other networks are still checked
            yield f"{candidate.placement}: {type(error).__name__}: {error}"
    for integration in INTEGRATIONS:
        candidate = _everywhere(backbone, integration)
        if any(candidate.blocks):
            try:
                yield from _train(_insert(network, candidate), candidate, integration)
            except Exception as error:  # see above
                yield f"{integration} does not train: {type(error).__name__}: {error}"
    own = Candidate(
        backbone,
        tuple(SE("native", site.native.width) if site.native else None for site in backbone.sites),
    )
    image = torch.rand(2, 3, backbone.image_size, backbone.image_size)
    with torch.no_grad():
        if not torch.equal(build(own, 0).eval()(image), network.eval()(image)):
            yield "without added SE it does not compute what its library's network does"


def _insert(network: nn.Module, candidate: Candidate) -> nn.Module:
    model = copy.deepcopy(network)
    insert(model, candidate, seed=0)
    return model


def _everywhere(backbone: Backbone, integration: Integration) -> Candidate:
    blocks = [
        SE(integration, squeeze_width(site.feature_maps[integration].channels, REDUCTION))
        if integration in site.feature_maps
        else None
        for site in backbone.sites
    ]
    return Candidate(backbone, tuple(blocks))


def _draw(backbone: Backbone, rng: random.Random) -> Candidate:
    blocks = [
        SE(rng.choice(list(site.feature_maps)), rng.choice([1, 3, 8]))
        if rng.random() < 0.7
        else None
        for site in backbone.sites
    ]
    return Candidate(backbone, tuple(blocks))


def _compare_costs(model: nn.Module, candidate: Candidate) -> Iterator[str]:
    traced, counted = trace_cost(model, candidate.backbone), count_cost(candidate)
    if traced != counted:
        yield (
            f"{candidate.placement}: {counted.params} parameters and {counted.macs} MACs counted, "
            f"{traced.params} and {traced.macs} traced"
        )


def _train(model: nn.Module, candidate: Candidate, integration: str) -> Iterator[str]:
    size = candidate.backbone.image_size
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE)
    model.train()
    missing = set(se_parameters(model))
    for step in range(2):
        generator = torch.Generator().manual_seed(step)
        images = torch.rand(BATCH, 3, size, size, generator=generator)
        optimizer.zero_grad()
        functional.cross_entropy(model(images), torch.arange(BATCH) % NUM_CLASSES).backward()
        optimizer.step()
        for name, parameter in se_parameters(model).items():
            if parameter.grad is not None:
                missing.discard(name)
                if not parameter.grad.isfinite().all():
                    yield f"{integration}: step {step + 1}: the gradient of {name} is not finite"
                    return
    if missing:
        yield f"{integration}: no gradient in {len(missing)} weights, as {min(missing)}"


def _be_quiet() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of the libraries, about their own future


if __name__ == "__main__":
    main()
