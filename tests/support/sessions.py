"""A session that finds no data and trains nothing: its trainings are made up."""

from dataclasses import replace
from pathlib import Path

from se_search.device import Device, Hardware
from se_search.execution.serial import SerialExecutor
from se_search.execution.session import Session
from se_search.ground import Ground
from se_search.record import EpochRow
from se_search.training.datasets import PreparedData, describe_data
from se_search.training.task import TrainingTask

HARDWARE = Hardware("cpu", 1, 2, "a CPU", "32-true")
DEVICE = Device("cpu", 0, 1, "32-true")
GROUND = Ground("a CPU", "32-true", 1, "2.14.1", None, None, "numpy 2.4.1, timm 1.0.31")


class MadeUpSessions:
    """Takes the place of ``open_session``, and notes what it is asked for.

    Args:
        evaluate: from an assignment to its Evaluation.
        epochs: how many epochs of each training are told, before it ends.
        num_workers: how many trainings may wait at once.
        grounds: what the devices are; their precision is that of the first.

    Attributes:
        requests: what sessions were opened for.
        tasks: what executors were made of.
        trained: the assignments, in the order in which they were evaluated.
    """

    def __init__(self, evaluate, num_workers=1, grounds=(GROUND,), epochs=0):
        self._evaluate = evaluate
        self._epochs = epochs
        self._grounds = tuple(grounds)
        self._num_workers = num_workers
        self.requests, self.tasks, self.trained = [], [], []

    def __call__(self, request, note):
        self.requests.append(request)
        info, recipe = describe_data(request.data, request.recipe)
        info = replace(info, fingerprint=info.fingerprint or "0123456789abcdef")
        data = PreparedData(info, "arrays", Path("nowhere"), "nowhere")
        task = TrainingTask(data, recipe)
        devices = (replace(DEVICE, precision=self._grounds[0].precision),) * self._num_workers
        return Session(task, HARDWARE, devices, self._grounds, None, self._make_executor)

    def _make_executor(self, task):
        self.tasks.append(task)

        def note_and_evaluate(assignment):
            self.trained.append(assignment)
            return self._evaluate(assignment)

        return TellingExecutor(note_and_evaluate, self._num_workers, self._epochs)


class TellingExecutor(SerialExecutor):
    """Tells a number of epochs of each training, of 20 seconds each, before the training ends."""

    def __init__(self, evaluate, num_workers=1, epochs=0):
        super().__init__(evaluate, num_workers)
        self._epochs = epochs

    def wait(self, timeout):
        """Evaluate the oldest assignment; return its epochs and its result."""
        ended = super().wait(timeout)
        rows = [EpochRow(n, self._epochs + 1, 0.5, 0.4, 0.8, 20.0 * n) for n in self._numbers()]
        return [*((number, row) for number, _ in ended for row in rows), *ended]

    def _numbers(self):
        return range(1, self._epochs + 1)
