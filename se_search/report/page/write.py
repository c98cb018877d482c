"""Writes the page of a run into its folder, as HTML and as Markdown."""

from __future__ import annotations

from se_search.report.source import Source, read_source
from se_search.store.files import WrittenFiles, write_text
from se_search.store.run_folder import RunFolder


def write_pages(files: WrittenFiles, folder: RunFolder, source: Source) -> None:
    """Write ``report.html`` and ``report.md`` of a run; ``files`` notes those that can't be."""
    # plotly, Jinja and matplotlib take half a second to import.
    from se_search.report.page.contents import prepare_page
    from se_search.report.page.render import render_html, render_markdown

    page = prepare_page(source)
    files.attempt(write_text, folder.report_html, render_html(page))
    files.attempt(write_text, folder.report_md, render_markdown(page))


def refresh_pages(folder: RunFolder) -> WrittenFiles:
    """Write the pages of a run anew, as after a confirmation; one that can't be stays as it is.

    Raises:
        RunError: the folder holds no trials, or a file can't be read.
    """
    files = WrittenFiles()
    write_pages(files, folder, read_source(folder))
    return files
