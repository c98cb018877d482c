"""Directives that write reference tables from the code when the site is built."""

from __future__ import annotations

from importlib import import_module
from typing import ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from table_rows import backbone_rows, lay_out, read_rows, space_rows, to_markdown


class SchemaTable(SphinxDirective):
    """``{schema-table} module:Model``: a table of all keys of the file that a model describes."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        self.env.note_reread()  # the code may change while the page does not
        module, _, name = self.arguments[0].partition(":")
        rows = read_rows(getattr(import_module(module), name))
        return self.parse_text_to_nodes(to_markdown(rows))


class BackboneTable(SphinxDirective):
    """``{backbone-table}``: a table of the backbones that are measured."""

    columns: ClassVar[tuple[str, ...]] = (
        *("backbone", "pixels", "sites", "stages", "parameters", "MACs"),
        "SE everywhere adds",
    )

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        self.env.note_reread()
        return self.parse_text_to_nodes(lay_out(self.columns, backbone_rows()))


class SpaceTable(SphinxDirective):
    """``{space-table}``: a table of the shipped spaces on the default backbone."""

    columns: ClassVar[tuple[str, ...]] = (
        "space",
        "candidates",
        "added parameters",
        "what it varies",
    )

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        self.env.note_reread()
        return self.parse_text_to_nodes(lay_out(self.columns, space_rows()))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("schema-table", SchemaTable)
    app.add_directive("backbone-table", BackboneTable)
    app.add_directive("space-table", SpaceTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
