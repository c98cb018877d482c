"""NAS-Bench-SE: a table of finished trainings of SE placements (see README.md)."""
