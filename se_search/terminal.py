"""Standard output as the commands use it: whoever reads it, in whatever encoding.

What the program prints goes to :func:`output`. While :func:`own_output` is entered, what anybody
else prints (a network while it is built, a library) goes to standard error.
"""

from __future__ import annotations

import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from se_search.errors import StorageError

# What is printed where an encoding lacks a sign; any other sign becomes its escape, as \xe9.
SUBSTITUTES = {
    "±": "+/-",
    "×": "x",
    "µ": "u",
    "·": ".",
    "…": "...",
    "≥": ">=",
    "≤": "<=",
    "→": "->",
    **dict.fromkeys("–—−", "-"),
    **dict.fromkeys("‘’", "'"),
    **dict.fromkeys("“”", '"'),
    **dict.fromkeys("▁▂▃▄▅▆▇█", "#"),
}

_UNSEEN = ("Cc", "Cs", "Zl", "Zp")  # Unicode's controls, surrogates and breaks of lines
_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # they reorder what follows

_output: TextIO | None = None


def output() -> TextIO:
    """Return the stream of what the program prints."""
    return _output or sys.stdout


def say(text: str) -> None:
    """Print a line of output at once."""
    print(text, file=output(), flush=True)


def escape(text: str, encoding: str = "utf-8") -> str:
    """Return a text that the encoding can hold; no other text is changed.

    Signs that the encoding lacks become their substitutes. A byte of a name that is not in UTF-8,
    which Python holds as a surrogate, becomes its escape, as ``\\xe9``.
    """
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(_escape_sign(sign, encoding) for sign in text)
    return text


def one_line(text: str) -> str:
    """Return a text without line breaks, control characters and bytes that are not in UTF-8.

    Each stands there as its escape, as ``\\n``: so that a file's name is printed, and not obeyed.
    So do the signs of Unicode that turn the direction of writing, for what they reorder reads as
    another text; letters that are written from right to left stay as they are.
    """
    return "".join(_spell(sign) if _is_obeyed(sign) else sign for sign in text)


@contextmanager
def own_output() -> Iterator[None]:
    """Keep standard output for what the program itself prints, until the ``with`` block ends.

    Where :func:`open_streams` has made the stream, that also holds for libraries in C and for child
    processes, which write to file descriptor 1.
    """
    global _output  # a process has one standard output
    before = _output, sys.stdout
    kept = output()
    has_descriptor = isinstance(kept, _Stream)
    if has_descriptor:
        _point(1, 2)
    _output, sys.stdout = kept, sys.stderr
    try:
        yield
    finally:
        _output, sys.stdout = before
        kept.flush()
        if has_descriptor and before[0] is None:
            _point(1, kept.fileno())


def open_streams() -> None:
    """Replace standard output and standard error by streams that take every text.

    When nobody reads them any more (``se-search spaces | head -1``), what is printed is lost, and
    the program goes on. Streams that somebody else has put in their place are left as they are.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: the next file that is opened would get what is printed there
            _point(descriptor, None)
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # open as long as the process lives
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if sys.stdout is sys.__stdout__ and sys.stdout is not None and _descriptor(sys.stdout) == 1:
        sys.stdout = _open_stream(1, sys.stdout)
    if sys.stderr is sys.__stderr__ and sys.stderr is not None and _descriptor(sys.stderr) == 2:
        sys.stderr = _open_stream(2, sys.stderr)


class _Stream(io.TextIOWrapper):
    """A text stream that substitutes the signs that its encoding lacks."""

    def write(self, text: str) -> int:
        super().write(escape(text, self.encoding))
        return len(text)


class _LastingFile(io.FileIO):
    """An open file descriptor that swallows what is written to a pipe that nobody reads."""

    name = "<standard output>"

    def write(self, data: bytes) -> int:  # type: ignore[override]  # the buffer's memoryviews
        try:
            return super().write(data) or 0
        except OSError as cause:
            # Whatever is still in the buffer goes nowhere: a second error would hide this one.
            _point(self.fileno(), None)
            if isinstance(cause, BrokenPipeError):
                return len(data)
            raise StorageError(f"the output can't be written: {cause.strerror}") from cause


def _open_stream(descriptor: int, old: TextIO) -> TextIO:
    old.flush()
    raw = _LastingFile(os.dup(descriptor), "wb")
    return _Stream(
        io.BufferedWriter(raw),  # type: ignore[type-var]  # its write takes what FileIO's does
        encoding=old.encoding,
        errors="backslashreplace",
        line_buffering=descriptor == 2 or raw.isatty(),
    )


def _escape_sign(sign: str, encoding: str) -> str:
    try:
        sign.encode(encoding)
    except UnicodeEncodeError:
        return SUBSTITUTES.get(sign) or _spell(sign)
    return sign


def _is_obeyed(sign: str) -> bool:
    return sign in _TURNING or unicodedata.category(sign) in _UNSEEN


def _spell(sign: str) -> str:
    if "\udc80" <= sign <= "\udcff":  # a byte, see surrogateescape in PEP 383
        return f"\\x{ord(sign) - 0xDC00:02x}"
    return sign.encode("unicode_escape").decode()


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):  # io.UnsupportedOperation is both
        return None


def _point(descriptor: int, target: int | None) -> None:
    """Let a file descriptor mean another one's file; None, or a closed one: nothing at all."""
    if target is not None:
        with suppress(OSError):  # closed
            os.dup2(target, descriptor)
            return
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere == descriptor:
        os.set_inheritable(nowhere, True)
    else:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
