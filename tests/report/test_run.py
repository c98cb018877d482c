"""A run from Python and in notebooks: its answer, frames, figures and networks."""

import io
from dataclasses import replace

import numpy as np
import plotly.graph_objects
import pytest
from matplotlib.figure import Figure
from support.kept_runs import make_run, make_trial
from support.made_up_fronts import GOOD, NOTHING, PLAIN, PLAIN_PARAMS, SPACE, make_front
from support.run_folders import begin_run

import se_search
from se_search.errors import CandidateError, RunError
from se_search.models.catalogue import describe_backbone
from se_search.report.figures.trainings import prepare_trainings
from se_search.report.run import Run
from se_search.space.bound import BoundSpace
from se_search.space.schema import SearchSpace

CONTROLS = [replace(make_trial("no SE", 0.80 + s / 100, s), role="control") for s in (0, 1)]
TRIALS = [*CONTROLS, make_trial("s2:4", 0.81), make_trial("s2:4", 0.83, 1)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    front = make_front(candidates=(PLAIN, GOOD))
    path = tmp_path_factory.mktemp("runs") / "<script>alert(1)<"
    return Run(make_run(path, TRIALS, front, trials=4))


@pytest.fixture
def undecided(tmp_path):
    front = make_front(NOTHING, candidates=(PLAIN, GOOD))
    return se_search.open_run(make_run(tmp_path / "run", TRIALS, front).path)


def test_a_run_is_told_by_the_three_lines_of_its_answer(run):
    what, how_sure, step = repr(run).splitlines()
    assert what == f"{run.folder.path}: {run.answer.what}"
    assert what.split(": ")[1].startswith("Put SE of width 4 in stage 2")
    assert how_sure.startswith("This rests on 4 trainings")
    assert step.startswith("Next: ")
    assert str(run.answer).splitlines()[0] == run.answer.what


def test_a_run_without_trials_says_so_and_raises_nothing(tmp_path):
    run = se_search.open_run(make_run(tmp_path / "new").path)
    assert "no trials have been stored" in repr(run)
    assert "no trials have been stored" in run._repr_html_()
    assert len(repr(run).splitlines()) == 1


def test_a_notebook_shows_the_answer_small_and_escaped(run):
    page = run._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "+0.62 (0.31 to 0.93)" in page
    assert len(page) < 10_000


def test_what_a_notebook_shows_has_no_colour_of_its_own(run):
    page = run._repr_html_()
    assert "color" not in page
    assert "background" not in page


def test_the_frames_have_a_row_for_each_thing(run):
    assert run.trials.number.tolist() == [0, 1, 2, 3]
    assert run.candidates.placement.tolist() == ["no SE", "s2:4"]
    assert run.front.params.tolist() == [PLAIN_PARAMS, PLAIN_PARAMS + 200]
    assert run.candidates.gain.tolist() == [0.0, GOOD.gain]
    assert (len(run.effects), len(run.confirmation)) == (0, 0)
    assert {"gain", "cost_pct"} <= set(run.effects.columns)


@pytest.mark.parametrize("name", ["front", "trainings", "placement"])
def test_a_figure_is_matplotlibs_and_can_be_written(run, name):
    figure = getattr(run.plot, name)()
    assert isinstance(figure, Figure)
    file = io.BytesIO()
    figure.savefig(file, dpi=30)
    assert file.getvalue().startswith(b"\x89PNG")


def test_a_figure_may_be_plotlys_and_has_the_same_candidates(run):
    figure = run.plot.front(engine="plotly")
    assert isinstance(figure, plotly.graph_objects.Figure)
    heights = {round(y, 6) for trace in figure.data for y in trace.y or () if y is not None}
    assert round(100 * GOOD.gain, 6) in heights
    with pytest.raises(RunError, match=r"engine 'plotli' .did you mean plotly"):
        run.plot.front(engine="plotli")


def test_the_engine_of_every_figure_that_has_two_is_checked_first(run):
    for draw in (run.plot.effects, run.plot.confirmation, run.plot.history):
        with pytest.raises(RunError, match=r"engine 'plotli' .did you mean plotly"):
            draw("plotli")


def test_a_figure_of_which_nothing_is_known_says_why(run):
    with pytest.raises(RunError, match="has no confirmation yet; se-search confirm makes one"):
        run.plot.confirmation()
    with pytest.raises(RunError, match="there are no effects yet"):
        run.plot.effects()


def test_the_figure_of_trainings_has_each_less_its_replicates_plain_network():
    late = make_trial("s2:4", 0.9, 5)  # of a replicate without a control
    shown = prepare_trainings([*(replace(t, number=n) for n, t in enumerate(TRIALS)), late], "")
    assert np.allclose(shown.points["proposal"], [(2, 1.0), (3, 2.0)])
    assert shown.num_left_out == 1


def test_the_recommended_candidate_is_the_answers(run):
    assert run.candidate() == SPACE.parse("s2:4")
    assert run.candidate("s3:8") == SPACE.parse("s3:8")
    assert str(run.candidate()) == run.answer.candidate


def test_where_nothing_can_be_said_nothing_is_recommended(undecided):
    with pytest.raises(RunError, match=r"no network is recommended\. Nothing can be said"):
        undecided.build()


@pytest.fixture
def real(tmp_path):
    """Return a run of a network that can be built."""
    backbone = describe_backbone("resnet20_bottleneck", 1, 8, 10)
    space = BoundSpace(SearchSpace.model_validate({"choices": {"width": [4]}}), backbone)
    return Run(begin_run(tmp_path / "real", space, seed=3))


def test_a_network_has_the_weights_that_its_training_began_with(real):
    candidate = real.candidate("s2:4")
    built = real.build("s2:4", trained=False, replicate=5).state_dict()
    wanted = se_search.build(candidate, 5).state_dict()
    assert built.keys() == wanted.keys()
    assert all(built[name].equal(wanted[name]) for name in wanted)
    first = real.build("s2:4", trained=False).state_dict()  # of the run's first replicate
    assert all(
        first[name].equal(weight)
        for name, weight in se_search.build(candidate, 3).state_dict().items()
    )


def test_another_file_of_weights_than_the_runs_builds_nothing(real, tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"others")
    real.config["search"]["weights"] = str(tmp_path / "weights.pth")
    real.config["identity"]["backbone"]["weights"] = "0123456789ab"
    with pytest.raises(RunError, match="is another file of weights than the run's"):
        real.build("s2:4", trained=False)


def test_a_candidate_that_there_is_not_is_refused(run):
    with pytest.raises(CandidateError):
        run.candidate("s9:4")
