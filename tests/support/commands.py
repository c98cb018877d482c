"""The command line as a user runs it."""

import csv
import sys
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("se-search"))
RUN = ("run", "--data", "digits", "--space", "stages", "--epochs", "1")


def read_rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
