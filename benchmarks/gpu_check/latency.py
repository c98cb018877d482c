"""Checks latencies: what SE adds to a batch, how far noise goes, and how far sums are off."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.gpu_check.findings import Finding, at_most, require, tell
from benchmarks.gpu_check.setting import Setting
from se_search.candidate import Candidate
from se_search.cost import find_allowed
from se_search.latency.measure import make_table, plan_measurement, time_structures
from se_search.latency.settings import LatencySettings
from se_search.models.catalogue import describe_backbone
from se_search.report.latency import describe_latency
from se_search.space.bound import BoundSpace
from se_search.space.schema import read_space
from se_search.training.latency_bench import TorchBench, probe_latency

MAX_FLOOR = 2.0  # per cent of the plain network's time, on an idle GPU
MAX_SUM_ERROR = 2.0  # per cent of the plain network's time


def check_latency(setting: Setting) -> Iterator[Finding]:
    """Measure what SE adds to a network, stage by stage."""
    amount = setting.amount
    name = amount.latency_backbone[0]
    settings = LatencySettings("cuda:0" if setting.is_cuda else "cpu", amount.latency_batch, 1)
    backbone = describe_backbone(*amount.latency_backbone)
    allowed = find_allowed(BoundSpace(read_space("stages"), backbone))
    probe = probe_latency(Candidate.plain(backbone), settings)
    plan = plan_measurement(allowed, probe, amount.latency_seconds)
    timings = time_structures(TorchBench(settings), plan.structures, plan.rounds, plan.number)
    table = make_table(plan, probe, timings, None, setting.cores)
    for each in table.deltas:
        timing = each.timing
        yield tell(
            f"{name}: {each.block} in {each.places} adds",
            f"{timing.added_pct:+.2f} % ({timing.low:.2f} to {timing.high:.2f}) of the time for "
            f"{each.added_macs_pct * each.num_blocks:.3f} % of the MACs",
        )
    for line in describe_latency(table):
        yield tell(name, line)
    error = table.sum_error
    yield require(f"{name}: the error of sums is known", error is not None)
    assert error is not None
    for what, value, bound in (
        (f"{name}: noise floor", table.floor_pct, MAX_FLOOR),
        (f"{name}: median error of sums", error.median_pct, MAX_SUM_ERROR),
    ):
        yield at_most(what, value, bound, "%") if setting.is_cuda else tell(what, value, "%")
