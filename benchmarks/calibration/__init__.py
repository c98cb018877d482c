"""Holds the statistics against the truth, on simulated spaces and on tables of trainings."""
