"""A measurement, as a meter counts it."""

from __future__ import annotations

from glp_export.core.progress import Meter
from glp_export.workflows.stages.timing_progress import watch


class Counted(Meter):
    def __init__(self):
        self.begun, self.done, self.notes = [], [], []

    def begin(self, total, *, cost=None, at_most=False, later=0.0):
        self.begun.append((total, later))

    def update(self, done, total=None, note=""):
        self.done.append((done, total))
        self.notes.append(note)


def test_shapes_are_counted_one_by_one_after_what_comes_before_them():
    meter = Counted()
    report = watch(meter, shapes=2, seconds=5.0)
    for done in range(4):
        report("measure memory", done, 3)
    report("load the contenders", 0, 3)
    report("load the contenders", 3, 3)
    assert meter.begun == [(3, 10.0), (3, 10.0)]  # the shapes will take that long at least
    for shape in ("1x16", "4x16"):
        for done, total in ((0, 10), (5, 10), (10, 10)):
            report(f"measure {shape}", done, total)
    assert meter.begun[2:] == [(2, 0.0)]
    assert meter.done[-6:] == [(0, 2), (0.5, 2), (1, 2), (1, 2), (1.5, 2), (2, 2)]
    assert meter.notes[-1] == "measure 4x16, round 10 of 10"
