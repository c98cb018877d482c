"""se-search: where squeeze-and-excitation blocks belong, and whether the difference is real.

The names in ``__all__`` are the public face; everything else may move between versions. Each is
loaded when it is first used, so that ``import se_search`` takes milliseconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from se_search.candidate import Candidate
    from se_search.cost import count_cost
    from se_search.export.candidate_file import read_candidate
    from se_search.models.surgery import build, insert
    from se_search.report.run import Run, open_run
    from se_search.search.exact_cost_sampler import ExactCostSampler

__all__ = [
    "Candidate",
    "ExactCostSampler",
    "build",
    "count_cost",
    "insert",
    "open_run",
    "read_candidate",
    "search",
]

_MODULES = {
    "Candidate": "se_search.candidate",
    "ExactCostSampler": "se_search.search.exact_cost_sampler",
    "build": "se_search.models.surgery",
    "count_cost": "se_search.cost",
    "insert": "se_search.models.surgery",
    "read_candidate": "se_search.export.candidate_file",
    "open_run": "se_search.report.run",
}

# Python binds a package's name in its parent when it is first imported. Imported here, the package
# ``se_search.search`` (which is empty) can't take the place of the function ``search`` later.
import_module("se_search.search")


def search(*, quiet: bool = True, **options: Any) -> Run:
    """Search a space, or continue a search that was stopped, and return its run.

    The trainings are child processes that import the calling script again: a script calls this
    function under ``if __name__ == "__main__":``.

    Args:
        quiet: print nothing; otherwise print what ``se-search run`` prints.
        options: the options of ``se-search run``, with underscores for hyphens, as
            ``space="stages_ratio"``, ``trials=50`` and ``runs_dir="runs"``. ``executor`` may be any
            ``concurrent.futures.Executor``, too; it needs ``workers``, its trainings at a time.

    Returns:
        The finished run, or after Ctrl-C the run so far.

    Raises:
        TypeError: there is no such option; the message names the known ones.
        SESearchError: something that was asked for is not there, is of another type, or can't be
            done.
    """
    from concurrent.futures import Executor
    from functools import partial

    from se_search.commands.options import read_search_options
    from se_search.commands.search import search as run_search
    from se_search.errors import RunError
    from se_search.execution.session import open_session
    from se_search.report.display import make_display
    from se_search.report.run import Run

    if not isinstance(quiet, bool):
        raise RunError(f"quiet {quiet!r} is not True or False")
    given = options.get("executor")
    pool = options.pop("executor") if isinstance(given, Executor) else None
    opened = partial(open_session, pool=pool)
    outcome = run_search(read_search_options(options), make_display(quiet=quiet), opened)
    return Run(outcome.folder)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
