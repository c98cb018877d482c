"""The real command: a space of one choice is measured in seconds, and then known."""

import json

SPACE = """\
granularity: network
choices: {reduction: [16]}
"""


def test_latencies_are_measured_on_this_machine_once(call, tmp_path):
    (tmp_path / "one.yaml").write_text(SPACE)
    command = ("latency", "--space", tmp_path / "one.yaml", "--seconds", "5", "--json")
    first = call(*command)
    assert "4 kinds of SE blocks" in first.stderr
    found = json.loads(first.stdout)
    assert found["plain_ms"] > 0
    assert all(each["timing"]["added_pct"] > -50 for each in found["deltas"])
    assert found["ground"]["settings"]["batch"] == 1
    again = call(*command)
    assert "all measured before on this device" in again.stderr
    assert json.loads(again.stdout)["deltas"] == found["deltas"]
