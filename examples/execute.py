"""Executes the notebooks of this folder, and keeps their outputs in them: the site shows them.

``python examples/execute.py FOLDER`` works in a folder whose finished runs the notebooks take up.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

# Of tqdm, which PyTorch imports: a progress bar for notebooks is missing, which nothing here uses.
QUIET = {"PYTHONWARNINGS": "ignore:IProgress not found"}
NOTEBOOKS = sorted(Path(__file__).parent.glob("*.ipynb"))


def execute(
    path: Path,
    folder: Path,
    values: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
) -> Any:
    """Return a notebook with the outputs of its cells.

    Args:
        path: of the notebook.
        folder: in which its cells run.
        values: by name, instead of those in its cell with the tag ``parameters``.
        environment: variables of its kernel; None: those of this process.

    Raises:
        CellExecutionError: a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    tags = [cell.metadata.get("tags", ()) for cell in notebook.cells]
    number = next(number for number, found in enumerate(tags) if "parameters" in found)
    if values:
        source = "\n".join(f"{name} = {value!r}" for name, value in values.items())
        notebook.cells.insert(number + 1, nbformat.v4.new_code_cell(source, id="values"))
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=1800, resources=resources, record_timing=False)
    client.execute(env={**(os.environ if environment is None else environment), **QUIET})
    return notebook


def main() -> None:
    """Execute all notebooks in the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="in which they are executed")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for path in NOTEBOOKS:
        nbformat.write(execute(path, folder, {}), path)


if __name__ == "__main__":
    main()
