"""What a model sees in place of the values, and the way back: logarithms, differences, one spread for all series.

C series · T steps · N paths, each the future of one series · S steps of the past · H steps ahead
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from seq2see.config.forecast import ScalingSettings
from seq2see.errors import InputError

_MOST_LOG = 300.0  # of a value: e³⁰⁰ is still a number that can be squared
_LEAST = 1e-9  # of the largest value: a spread below that is rounding


@dataclass(frozen=True)
class Scaling:
    """log → minus the season before → minus the value before, ``differences`` times → (· − mean) / deviation.

    ``season`` 0: no seasonal difference. ``means`` and ``deviations`` are those of each series over its
    training stretch, differenced as the rest; a constant series has deviation 1.
    """

    log: bool
    season: int
    differences: int
    means: tuple[float, ...]
    deviations: tuple[float, ...]

    @property
    def lost(self) -> int:
        """How many values at the beginning the differences use up."""
        return self.season + self.differences

    def scaled(self, values_NS: Tensor, series_N: Tensor) -> Tensor:
        """Values of the series with these numbers to what a model sees: ``[N, S − lost]``."""
        changed_NS = _differenced(self.level(values_NS), self.season, self.differences)
        mean_N1, deviation_N1 = self._moments(series_N)
        return (changed_NS - mean_N1) / deviation_N1

    def restored(self, scaled_NH: Tensor, past_NS: Tensor, series_N: Tensor) -> Tensor:
        """The way back for steps that follow ``past_NS``, at least ``lost`` values: ``[N, H]``."""
        return self.link(self.summed(self.changes(scaled_NH, series_N), self.level(past_NS)))

    def changes(self, scaled_NH: Tensor, series_N: Tensor) -> Tensor:
        """Back from standardised values to differences (or values, where there are none)."""
        mean_N1, deviation_N1 = self._moments(series_N)
        return scaled_NH * deviation_N1 + mean_N1

    def summed(self, changes_NH: Tensor, past_NS: Tensor) -> Tensor:
        """Differences summed up again, onto a past as it is before differencing (after the logarithm)."""
        for number in reversed(range(self.differences)):
            start_N1 = _differenced(past_NS, self.season, number)[:, -1:]
            changes_NH = start_N1 + changes_NH.cumsum(1)
        if not self.season:
            return changes_NH
        known = list(past_NS[:, past_NS.shape[1] - self.season :].unbind(1))
        for change_N in changes_NH.unbind(1):
            known.append(known[-self.season] + change_N)
        return torch.stack(known[self.season :], dim=1)

    def link(self, values: Tensor) -> Tensor:
        """Back from the scale on which ``summed`` works to values: eˣ, or nothing."""
        return values.clamp(-_MOST_LOG, _MOST_LOG).exp() if self.log else values

    def level(self, values_NS: Tensor) -> Tensor:
        """Values on the scale on which ``summed`` works.

        Raises:
            InputError: a value has no logarithm.
        """
        if not self.log:
            return values_NS
        if bool((values_NS <= 0).any()):
            worst = float(values_NS[values_NS <= 0].min())
            raise InputError(f"a value of {worst:g} has no logarithm; train with --set scaling.log=false")
        return values_NS.log()

    def _moments(self, series_N: Tensor) -> tuple[Tensor, Tensor]:
        means, deviations = (torch.tensor(each, dtype=torch.float64) for each in (self.means, self.deviations))
        chosen = series_N.cpu()
        return means[chosen].unsqueeze(1), deviations[chosen].unsqueeze(1)


def fit_scaling(train_CT: Tensor, settings: ScalingSettings, season: int) -> Scaling:
    """The scaling of a training stretch; NaN at the ends of a series is left out.

    Raises:
        InputError: logarithms of values that have none, or nothing is left after the differences.
    """
    lag = season if settings.seasonal_difference else 0
    bare = Scaling(settings.log, lag, settings.differences, (0.0,) * len(train_CT), (1.0,) * len(train_CT))
    means, deviations = [], []
    for number, values_T in enumerate(train_CT):
        known_1S = values_T[~values_T.isnan()].unsqueeze(0)
        changed_1S = bare.scaled(known_1S, torch.tensor([number])) if known_1S.shape[1] > bare.lost + 1 else None
        if changed_1S is None:
            raise InputError(
                f"{known_1S.shape[1]} values to train on are too few for differences over {bare.lost} steps"
            )
        deviation = float(changed_1S.std())
        means.append(float(changed_1S.mean()))
        deviations.append(deviation if deviation > _LEAST * float(bare.level(known_1S).abs().max()) else 1.0)
    return Scaling(settings.log, lag, settings.differences, tuple(means), tuple(deviations))


def scaled_stretch(values_CT: Tensor, scaling: Scaling) -> Tensor:
    """What a model sees of a stretch: ``[C, T − lost]``, NaN before a series begins and after it ends."""
    scaled = []
    for number, values_T in enumerate(values_CT):
        whole_T = values_T.new_full((len(values_T),), torch.nan)
        known = (~values_T.isnan()).nonzero().flatten()
        first, last = int(known[0]), int(known[-1]) + 1
        part_1S = values_T[first:last].unsqueeze(0)
        whole_T[first + scaling.lost : last] = scaling.scaled(part_1S, torch.tensor([number]))[0]
        scaled.append(whole_T[scaling.lost :])
    return torch.stack(scaled)


def _differenced(values_NS: Tensor, season: int, differences: int) -> Tensor:
    if season:
        values_NS = values_NS[:, season:] - values_NS[:, :-season]
    return values_NS.diff(differences, dim=1) if differences else values_NS
