"""Compares predictions with recorded runs, those of other sizes and settings than the costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.scale.calibrate import observed_runs
from harness.scale.predict import predict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.model.record import Run
    from harness.scale.calibrate import Observed
    from harness.scale.costs import Costs
    from harness.scale.predict import Prediction


@dataclass(frozen=True, slots=True)
class Check:
    """A prediction beside what was observed.

    ``is_fitted``: the costs were calibrated with the processor time of this very restore.
    """

    observed: Observed
    prediction: Prediction
    is_fitted: bool

    @property
    def wall_error(self) -> float:
        """Return by which share the predicted time is too long; negative if it is too short."""
        return self.prediction.wall_s / self.observed.wall_s - 1

    @property
    def client_error(self) -> float:
        """Return the same of the restorer's processor time."""
        return self.prediction.client_s / self.observed.client_s - 1

    @property
    def server_error(self) -> float | None:
        """Return the same of the server's processor time; None if it was not recorded."""
        if self.observed.server_s is None:
            return None
        return self.prediction.server_s / self.observed.server_s - 1


def checks(costs: Costs, runs: Iterable[Run]) -> list[Check]:
    """Return a check for each size and profile that was recorded on the machine of the totals."""
    return [
        Check(
            each,
            predict(costs, each.load, each.hardware),
            each.load.rows in costs.sizes and each.load.minimal_wal,
        )
        for each in observed_runs(runs)
        if each.cpu == costs.machine.totals_cpu
    ]


def largest_error(of: Iterable[Check]) -> float:
    """Return the largest error of the time, of those that the costs were not fitted to."""
    return max((abs(each.wall_error) for each in of if not each.is_fitted), default=0.0)
