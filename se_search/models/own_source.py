"""Finds the source of a user's own network, and tells by a fingerprint whether it has changed.

Nothing is run or imported: the source files are read, and the files that they import are found as
Python would find them.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

_OURSELVES = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class OwnSource:
    """Where the code of a user's own network lies, and what it says.

    Attributes:
        folder: the project: the folder from which the module is imported.
        digests: twelve hexadecimal digits over each source file that the module imports, itself
            included, by the file's path in the project; its version stands for a package that is
            installed, of which only the module itself is here. Files that differ in the ends of
            their lines alone have one digest.
    """

    folder: Path
    digests: dict[str, str]


def read_own_source(name: str) -> OwnSource | None:
    """Return the source of ``module:callable``; None: there are no files, as of a notebook's cell.

    Imports of a computed name and files that are no modules are not seen.
    """
    module = name.partition(":")[0]
    folder = _find_folder(module.partition(".")[0])
    if folder is None:
        return None
    is_installed = any(folder.is_relative_to(place) for place in _installed_folders())
    files: dict[str, str] = {}
    pending = [module]
    while pending:
        dotted = pending.pop()
        for file in _list_files(folder, dotted):
            key = file.relative_to(folder).as_posix()
            if key in files or file.resolve().is_relative_to(_OURSELVES):
                continue
            text = file.read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            files[key] = hashlib.sha256(text).hexdigest()[:12]
            if not is_installed:
                package = file.parent.relative_to(folder).parts
                pending.extend(_list_imports(text, package))
    return OwnSource(folder, dict(sorted(files.items()))) if files else None


def look_in(folder: Path, *, first: bool) -> None:
    """Let modules be imported from a folder, and from the current one, in child processes as well.

    Args:
        folder: need not be there.
        first: whether the folder comes before the current one.
    """
    here = os.getcwd()
    places = [str(folder), here] if first else [here, str(folder)]
    sys.path[:] = list(dict.fromkeys([*places, *sys.path]))


def searched_folders() -> list[str]:
    """Return the folders in which a user's own module is looked for, installed packages aside."""
    pythons = {*_installed_folders(), Path(sys.base_prefix)}
    places = (Path(place or os.getcwd()) for place in sys.path)
    return [
        str(place)
        for place in dict.fromkeys(places)
        if not any(place.is_relative_to(python) for python in pythons)
    ]


def _installed_folders() -> set[Path]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return {Path(path) for name in names if (path := sysconfig.get_path(name))}


def _find_folder(top: str) -> Path | None:
    """Return the folder from which Python imports a module without a dot, or has imported it."""
    loaded = sys.modules.get(top)
    spec = getattr(loaded, "__spec__", None) if loaded else None
    # The current folder comes first, unless it stands elsewhere in the path.
    here = os.getcwd()
    path = sys.path if here in sys.path else [here, *sys.path]
    spec = spec or PathFinder.find_spec(top, path)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).absolute().parent
    return Path(spec.origin).absolute().parent if spec.has_location and spec.origin else None


def _list_files(folder: Path, dotted: str) -> Iterator[Path]:
    """Yield the files that an import of a dotted name runs, as far as they lie in the folder."""
    place = folder
    for part in dotted.split("."):
        package, module = place / part / "__init__.py", place / f"{part}.py"
        if package.is_file():
            yield package
        elif module.is_file():
            yield module
            return
        elif not (place / part).is_dir():
            return
        place = place / part


def _list_imports(text: bytes, package: tuple[str, ...]) -> Iterator[str]:
    """Yield the dotted names that a source file imports, wherever in the file."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # importing it says what is wrong
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base:
                yield base
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)
        elif isinstance(node, ast.Call) and _is_import_call(node):
            yield str(node.args[0].value)  # type: ignore[attr-defined]  # a constant, see there


def _is_import_call(call: ast.Call) -> bool:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    first = call.args[0] if call.args else None
    is_text = isinstance(first, ast.Constant) and isinstance(first.value, str)
    return name in ("import_module", "__import__") and is_text
