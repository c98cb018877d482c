"""What signals ask a command to do."""

import os
import signal
import threading

import pytest

from se_search.execution.signals import StopSignals
from se_search.record import Stop


def send(*numbers):
    """Return how urgent the stop is after signals to this process, and what was said."""
    notes = []
    with StopSignals(notes.append) as stop:
        for number in numbers:
            os.kill(os.getpid(), number)
        return stop(), stop.number, notes


def test_without_a_signal_nothing_stops():
    assert send() == (Stop.NO, None, [])


def test_one_ctrl_c_stops_gently_and_says_what_happens_in_how_many_seconds():
    urgency, number, notes = send(signal.SIGINT)
    assert (urgency, number) == (Stop.AFTER_RUNNING, signal.SIGINT)
    (note,) = notes
    assert "within 30 seconds" in note
    assert "longer ones save their states now" in note


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_after_another_signal_stops_now(first):
    urgency, number, notes = send(first, signal.SIGINT)
    assert (urgency, number) == (Stop.NOW, signal.SIGINT)
    assert "Stopping now" in notes[1]


@pytest.mark.parametrize(
    "numbers",
    [
        (signal.SIGTERM,),
        (signal.SIGUSR1,),
        (signal.SIGUSR1, signal.SIGTERM),
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGINT, signal.SIGTERM),
    ],
)
def test_sigterm_and_the_warning_of_a_batch_system_stop_within_seconds(numbers):
    urgency, number, notes = send(*numbers)
    assert (urgency, number) == (Stop.SOON, signal.SIGTERM)
    assert "within 5 seconds" in notes[-1]


def test_a_signal_in_the_midst_of_a_print_does_not_break_it():
    threads = []
    with StopSignals(lambda _: threads.append(threading.get_ident())):
        os.kill(os.getpid(), signal.SIGINT)
    assert threads
    assert threads != [threading.get_ident()]


def test_signals_mean_what_they_meant_once_the_search_is_over():
    before = signal.getsignal(signal.SIGINT)
    with StopSignals(lambda _: None):
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
