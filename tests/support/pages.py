"""The README and the pages of the site, taken apart: code blocks, inline code, links, headings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
# Its blocks build on each other, and train; tests/services/test_tutorial.py runs all of them.
TUTORIAL = ROOT / "docs" / "tutorial.md"
FILE_NAME = re.compile(r"# (\w+\.(?:ya?ml|py))\b")


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    Attributes:
        page: where it stands.
        line: of its first line of code.
        language: ``sh``, ``python``, ``yaml``, ...
        text: the code.
    """

    page: Path
    line: int
    language: str
    text: str

    @property
    def file_name(self) -> str | None:
        """The file that the block shows, if its first line is a comment that names one."""
        match = FILE_NAME.match(self.text)
        return match[1] if match else None


@dataclass(frozen=True)
class Command:
    """A line of a shell block, or inline code that begins with ``se-search``."""

    page: Path
    line: int
    text: str
    is_inline: bool

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}: {self.text}"


def read_blocks(page: Path) -> list[Block]:
    """List the fenced blocks of a page."""
    return [
        Block(page, token.map[0] + 2, token.info.strip(), token.content)
        for token in _parse(page)
        if token.type == "fence" and token.map
    ]


def read_commands(page: Path) -> list[Command]:
    """List what a page tells a reader to type, without comments; a line may end in a backslash."""
    commands = [
        Command(page, block.line + number, line.split(" #")[0].strip(), False)
        for block in read_blocks(page)
        if block.language == "sh"
        for number, line in enumerate(block.text.replace("\\\n", " ").splitlines())
        if line.split(" #")[0].strip()
    ]
    inline = [
        Command(page, line, text, True)
        for line, text in read_inline_code(page)
        if text.startswith("se-search ")
    ]
    return commands + inline


def read_inline_code(page: Path) -> list[tuple[int, str]]:
    """List the inline code of a page with the line of its paragraph."""
    return [
        (token.map[0] + 1, child.content.replace("\n", " "))
        for token in _parse(page)
        if token.type == "inline" and token.map
        for child in token.children or ()
        if child.type == "code_inline"
    ]


def read_links(page: Path) -> list[str]:
    """List where the links and pictures of a page lead that stay within the repository."""
    targets = [
        child.attrGet("href") or child.attrGet("src") or ""
        for token in _parse(page)
        for child in token.children or ()
        if child.type in ("link_open", "image")
    ]
    return [str(target) for target in targets if "://" not in str(target)]


def read_anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    tokens = _parse(page)
    headings = [tokens[i + 1].content for i, t in enumerate(tokens) if t.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def _parse(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
