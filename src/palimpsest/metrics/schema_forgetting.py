"""Section of `metrics.json` with the tests of forgetting, one row for each measure of the models."""

from typing import Literal

from pydantic import Field

from palimpsest.metrics.schema_parts import Interval, Part


class Estimate(Part):
    """A measured number with its uncertainty."""

    value: float
    """The number, in the unit of its test."""
    interval: Interval | None = None
    """95 % interval, `[low, high]`; absent if it is unknown."""


class ForgettingTest(Part):
    """One measure of the model before and after unlearning, and the range that a model without the samples shows.

    A test with a range and an interval is decisive: it finds the forgotten samples in a model if the whole interval
    lies outside the range. Other tests are for information.
    """

    name: str
    """Name of the test, such as `loss-auc`."""
    label: str
    """Heading of its row, in which the word `samples` stands for images, records or texts."""
    share: bool = False
    """Whether the values are shares in [0, 1], which pages write as percentages."""
    unlearned: Estimate
    """The model after unlearning."""
    original: Estimate | None = None
    """The model before unlearning: the positive control of the test. Absent if it was not measured."""
    retrained: Estimate | None = None
    """The exactly retrained model; absent if there is none."""
    chance: float | None = None
    """Expected value of a random guess; absent if it is unknown."""
    count: int | None = Field(default=None, ge=1)
    """Number of samples, or of models, behind the value after unlearning."""
    expected: Interval | None = None
    """Range of models that never received the forgotten samples, `[low, high]`: chance, the interval of the retrained
    model, or the spread of retraining with other seeds. Absent if it is unknown."""
    side: Literal["above", "below", "either"] = "either"
    """Side of the range on which a value reveals the forgotten samples."""

    def deviation(self, estimate: Estimate | None) -> Interval | None:
        """Return how far an estimate lies outside the range that is expected without the samples.

        Args:
            estimate: A value of this test, such as `unlearned`.

        Returns:
            Lower and upper ends of the deviation. Both are above zero if the whole interval lies outside. None if the
            test is not decisive.
        """
        if estimate is None or estimate.interval is None or self.expected is None:
            return None
        (low, high), (least, most) = estimate.interval, self.expected
        above, below = (low - most, high - most), (least - high, least - low)
        if self.side == "either":
            return max(above, below)
        return above if self.side == "above" else below

    def finds(self, estimate: Estimate | None) -> bool | None:
        """Return whether the test finds the forgotten samples in a model; None if the test is not decisive.

        Args:
            estimate: The model's value of this test.
        """
        deviation = self.deviation(estimate)
        return None if deviation is None else deviation[0] > 0
