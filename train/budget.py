"""How long a run is: by the clock or by steps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """Exactly one of minutes and steps. By the clock, compiling and a slow device cost steps, never the schedule."""

    minutes: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise ValueError("give either minutes or steps.")
        if not (self.minutes or self.steps or 0) > 0:
            raise ValueError(f"the run's length is {self.minutes or self.steps}; allowed: above 0.")

    def progress(self, step: int, seconds: float) -> float:
        """The part of the run that is over, 1 or more at its end."""
        if self.steps is not None:
            return step / self.steps
        assert self.minutes is not None
        return seconds / (60 * self.minutes)
