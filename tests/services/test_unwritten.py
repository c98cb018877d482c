"""Commands whose trainings are kept, but whose figures or tables can't be written."""

from support.commands import RUN, call_here, read_rows


def test_a_file_that_can_not_be_written_ends_run_and_gates_after_all_else(home, environment):
    def call(*arguments):
        return call_here(*arguments, folder=home, environment=environment)

    search = (*RUN, "--trials", 5, "--workers", 1, "--name", "blocked")
    folder = home / "runs" / "blocked"
    folder.mkdir(parents=True)
    for name in ("pareto.csv", "gates.csv"):
        (folder / name).mkdir()
    outcome = call(*search)
    assert outcome.returncode == 2
    assert outcome.stderr.endswith("blocked/pareto.csv can't be written: Is a directory\n")
    assert "Nothing can be said: " in outcome.stdout
    rows = read_rows(folder / "trials.csv")
    assert [row["state"] for row in rows] == ["COMPLETE"] * 5
    with_se = next(row["candidate"] for row in rows if "standard" in row["candidate"])
    outcome = call("gates", "blocked", "--candidate", with_se)
    assert outcome.returncode == 2
    assert outcome.stderr.endswith("blocked/gates.csv can't be written: Is a directory\n")
    assert "gates.png, gates.pdf, gates_by_class.csv" in outcome.stdout
    (folder / "pareto.csv").rmdir()
    assert call(*search).returncode == 0  # nothing is left to train
    assert [*read_rows(folder / "trials.csv")] == rows
