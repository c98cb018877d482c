"""NAS-Bench-SE 2: a crossed table of finished trainings, networks by replicates (see README.md)."""
