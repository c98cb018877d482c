"""Names that a system takes for files and folders, and that programs trip over."""

ODD_NAMES = (
    *("q?mark", "100%", "%3F", "#1", "a b", "it's", 'a"b', "a\nb", "-n", "[red]", "[/]", "{x}"),
    *("a|b`c`", "$x$", "\N{GRINNING FACE}", "caf\udce9", "\x1b[31m", 250 * "x"),
)
