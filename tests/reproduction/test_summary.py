"""The page of several studies: what SE gains, in a line, and all claims."""

from support.studies import candidates_of, judge_made_up, made_up_training, study_file

from se_search.analysis.sequential import LookPlan
from se_search.reproduction.summary import count_savings, list_gains, say_gain, write_summary

GAINS = {"claims": ("all beats none", "first beats none", "all beats first by 1")}


def judge_gain(folder, gain, name="one", replicates=range(8), looks=None, **changes):
    """Judge a study in which SE gains so many points wherever it is."""
    file = study_file(**GAINS | changes)
    trainings = [
        made_up_training(candidate, seed, gain=gain / 100)
        for candidate in candidates_of(file).values()
        for seed in replicates
    ]
    wanted = range(20) if looks else None
    return judge_made_up(folder, replicates, file, trainings, name, wanted, looks)


def largest_of(report):
    """The largest gain over the baseline, by hand, in points."""
    none, *others = ([100 * right for right in each.top1] for each in report.candidates)
    gains = [sum(a - b for a, b in zip(o, none, strict=True)) / len(none) for o in others]
    return max(gains)


def test_the_widest_supported_gain_is_named_with_its_interval(tmp_path):
    report = judge_gain(tmp_path, 4)
    line = say_gain([report])
    assert line.startswith("2 of 2 gains of SE over the plain network supported at desk scale")
    assert f"the widest of them is {largest_of(report):+.2f} points (" in line
    assert "in one, resnet20_bottleneck on digits, 8 replicates), also after Holm" in line


def test_without_a_supported_gain_the_largest_is_named_with_its_interval(tmp_path):
    report = judge_gain(tmp_path, -2)
    line = say_gain([report])
    assert line.startswith("No gain of SE over the plain network is supported at desk scale; ")
    assert f"the largest of 2 is {largest_of(report):+.2f} points (" in line


def test_a_supported_gain_goes_before_a_larger_one_that_is_not(tmp_path):
    """With three replicates nothing can be supported."""
    others = {"none": "all=none", "all": "all=standard:r8", "first": "stage3=standard:r16"}
    small = judge_gain(tmp_path, 3)
    large = judge_gain(tmp_path, 9, "two", range(3), candidates=others)
    assert {verdict.outcome for verdict in large.verdicts} == {"undecided"}
    line = say_gain([large, small])
    assert line.startswith("2 of 4 gains")
    assert f"{largest_of(small):+.2f} points" in line


def test_before_any_look_nothing_is_said_of_gains(tmp_path):
    report = judge_gain(tmp_path, 4, replicates=range(5), looks=LookPlan())
    assert say_gain([report]) == (
        "Whether SE gains anything at desk scale has not been looked at yet. 2 claims of a gain "
        "may still be decided."
    )


def test_a_gain_that_two_studies_wait_for_counts_once(tmp_path):
    reports = [
        judge_gain(tmp_path, 4, replicates=range(5), looks=LookPlan(), name=name)
        for name in ("one", "two")
    ]
    assert say_gain(reports).endswith(" 2 claims of a gain may still be decided.")


def test_only_claims_of_a_gain_over_the_plain_network_in_top_1_count(tmp_path):
    claims = (
        *("all beats none in top-5", "all beats none by 1", "none beats all", "all beats first"),
        "first beats none",
    )
    gains = list_gains([judge_gain(tmp_path, 4, claims=claims)])
    assert [str(gain.verdict.claim) for gain in gains] == ["first beats none"]


def test_a_network_that_two_studies_compare_counts_once(tmp_path):
    reports = [judge_gain(tmp_path, 4), judge_gain(tmp_path, 4, "two")]
    assert len(list_gains(reports)) == 2
    reports = [
        judge_gain(tmp_path, 4, replicates=range(8), looks=LookPlan(), name=name)
        for name in ("one", "two")
    ]
    assert count_savings(reports).num_planned == 3 * 20


def test_the_page_begins_with_the_line_and_has_all_claims(tmp_path):
    reports = [
        judge_made_up(tmp_path / "one" / "desk"),
        judge_made_up(tmp_path / "two" / "desk", range(5), name="two", wanted=range(20)),
        judge_made_up(
            tmp_path / "three" / "desk", range(5), name="three", wanted=range(20), looks=LookPlan()
        ),
    ]
    write_summary(tmp_path / "desk.md", reports)
    page = (tmp_path / "desk.md").read_text(encoding="utf-8")
    assert f"**{say_gain(reports)}**" in page
    assert "12 claims: " in page
    assert "4 not yet" in page
    assert page.count("| all beats none | +1.00 |") == 3
    assert "| [three](three/desk/results.md) | all beats none | +1.00 |  |  | 5 of 20 |" in page
