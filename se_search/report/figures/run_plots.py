"""The figures of a run for notebooks, by matplotlib or by plotly: they show themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from se_search.errors import RunError, suggest_nearest
from se_search.report.effects import describe_figure, shown_effects

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from se_search.report.run import Run

Engine = Literal["matplotlib", "plotly"]
ENGINES = ("matplotlib", "plotly")


class RunPlots:
    """The figures of a run; none is written to a file.

    With ``engine="plotly"`` a figure is plotly's, interactive as on the run's page; else it is
    matplotlib's, as in the run's folder, and ``figure.savefig("front.svg")`` writes it.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def front(self, engine: Engine = "matplotlib") -> Any:  # plotly's figure or matplotlib's
        """Return the gain over the plain network against each cost, as in ``pareto.png``."""
        from se_search.report.figures.front_points import prepare_front
        from se_search.report.figures.pareto_front import draw_front as draw
        from se_search.report.page.figures.front import draw_front as draw_interactive

        run = self._run
        costs = run.config["identity"]["objectives"][1:]
        prepared = prepare_front(run.posterior, costs, run.title)
        return _choose(engine, draw, draw_interactive)(prepared)

    def effects(self, engine: Engine = "matplotlib") -> Any:  # likewise
        """Return what SE contributes by place, position and width, as in ``effects.png``.

        Raises:
            RunError: there are too few trainings for a model.
        """
        from se_search.report.figures.effects import draw_effects, prepare_effects
        from se_search.report.page.figures.forest import draw_forest

        draw = _choose(engine, draw_effects, draw_forest)
        effects = self._run.posterior.effects
        if effects is None:
            raise RunError(f"there are no effects yet, as {self._run.posterior.reason}")
        shown = shown_effects(effects)
        return draw(prepare_effects(shown, self._run.title, describe_figure(effects)))

    def confirmation(self, engine: Engine = "matplotlib") -> Any:  # likewise
        """Return what fresh replicates say beside the search, as in ``confirmation.png``.

        Raises:
            RunError: the run has no confirmation with a result.
        """
        from se_search.report.figures.confirmation import draw_confirmation, prepare_confirmation
        from se_search.report.page.figures.forest import draw_forest

        draw = _choose(engine, draw_confirmation, draw_forest)
        results = [each for each in self._run.rounds if each.result is not None]
        if not results:
            raise RunError(
                f"{self._run.folder.path} has no confirmation yet; se-search confirm makes one"
            )
        return draw(prepare_confirmation(results[-1]))

    def gates(self) -> Figure:
        """Return mean gates by channel and class of the candidate that was looked at last.

        Raises:
            RunError: no gates have been looked at.
        """
        from se_search.report.figures.gates import draw_gates, prepare_gates

        found = self._run.gates_found
        if found is None:
            raise RunError(
                f"{self._run.folder.path}: no gates have been looked at yet; se-search gates does"
            )
        return draw_gates(prepare_gates(found, f"Gates of {found.placement}"))

    def history(
        self,
        engine: Engine = "matplotlib",
        against: Literal["trainings", "time"] = "trainings",
    ) -> Any:  # likewise
        """Return what was found by when, beside what random search would have, as on the page.

        Args:
            engine: what draws it.
            against: ``trainings``, or ``time``: their wall time added up.

        Raises:
            RunError: too few trainings have ended, or what time they took is not known.
        """
        from se_search.report.figures.history import draw_history, prepare_history
        from se_search.report.figures.history_axis import has_times
        from se_search.report.page.figures.history import draw_found
        from se_search.store.front_cache import read_history

        run = self._run
        _check_engine(engine)
        history = read_history(run.folder, run.records, run.space, run.posterior)
        if history is None:
            raise RunError(f"{run.folder.path} has no history yet: too few trainings have ended")
        if against == "time" and not has_times(history):
            raise RunError(f"{run.folder.path} does not know what time its trainings took")
        if engine == "plotly":
            return draw_found(history, against)
        return draw_history(prepare_history(history, against, run.title))

    def latency(self) -> Figure:
        """Return what SE adds to the time of a batch, and how well sums hold.

        Raises:
            RunError: the run has measured no latencies.
        """
        from se_search.report.figures.latency import draw_latency, prepare_latency
        from se_search.store.latency import read_latency

        table = read_latency(self._run.folder)
        if table is None:
            raise RunError(
                f"{self._run.folder.path} has no latencies; --latency measures them in a new run"
            )
        return draw_latency(prepare_latency(table))

    def trainings(self) -> Figure:
        """Return each full training less its replicate's plain network, in the order of trials."""
        from se_search.report.figures.trainings import draw_trainings, prepare_trainings

        run = self._run
        noise = run.posterior.noise
        sd = None if noise is None else noise.training_sd
        return draw_trainings(prepare_trainings(run.records, run.title, sd))

    def placement(self, candidate: str = "recommended") -> Figure:
        """Return where a candidate has SE, block by block.

        Args:
            candidate: as for ``Run.candidate``.

        Raises:
            RunError: nothing is recommended.
            CandidateError: the text is of no candidate.
        """
        from se_search.report.figures.placement import draw_placement, prepare_placement

        return draw_placement(prepare_placement(self._run.candidate(candidate)))


def _choose(
    engine: str, plain: Callable[..., Any], interactive: Callable[..., Any]
) -> Callable[..., Any]:
    """Return what draws with an engine.

    Raises:
        RunError: there is no such engine.
    """
    _check_engine(engine)
    return interactive if engine == "plotly" else plain


def _check_engine(engine: str) -> None:
    if engine not in ENGINES:
        hint = suggest_nearest(engine, ENGINES)
        raise RunError(f"engine {engine!r}{hint} is not one of {', '.join(ENGINES)}")
