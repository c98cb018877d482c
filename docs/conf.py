"""Settings of the site: ``make docs`` builds it into ``docs/_build/html``."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "se-search"
author = "the authors of se-search"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.typer",
    "offline",
    "reference_tables",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the notebooks of examples/ hold their outputs

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# Types of other projects have no page here, and the build reads nothing from the net.
nitpick_ignore_regex = [
    ("py:.*", r"(numpy|np|NDArray|pandas|pd|torch|nn|optuna|scipy|rich)(\..*)?"),
    ("py:.*", r"BaseDistribution"),
    ("py:.*", r"(Path|pathlib\..*|collections\..*|typing\..*|Mapping|Sequence|Callable|Any)"),
    # What a run and its answer are made of: outside of the public face, so without a page.
    ("py:class", r"se_search\.(space\.bound|surrogate\.posterior_front)\..*"),
    ("py:class", r"se_search\.store\.(confirmations|gates_file)\..*"),
    ("py:class", r"se_search\.report\.(places|next_step)\..*"),
]

html_theme = "furo"
html_title = "se-search"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
smartquotes_action = "D"  # dashes; quotes stay as they are written
html_theme_options = {"top_of_page_buttons": []}
pygments_style = "tango"
pygments_dark_style = "monokai"


# Napoleon takes what stands before a colon in a property's docstring for the property's type; the
# docstrings of properties are sentences, which are put back as they were.
_sentences: dict[str, list[str]] = {}


def _keep(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    if what == "property":
        _sentences[name] = list(lines)


def _put_back(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = _sentences.pop(name, lines)


def setup(app: Any) -> None:
    """Keep the docstrings of properties from napoleon, which works at priority 500."""
    app.connect("autodoc-process-docstring", _keep, priority=400)
    app.connect("autodoc-process-docstring", _put_back, priority=600)
