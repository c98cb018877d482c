"""Compares samplers in a world of real trainings: how many trainings each takes to a good front."""
