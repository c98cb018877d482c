"""Checks on one GPU what no CPU can show: numbers, states, sharing, speed, input and memory."""
