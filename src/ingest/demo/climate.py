"""The figures of the weather generator: fitted on real history by `ingest.demo.fit`, kept in climate.npz.

V = stations x VARIABLES series, K weather patterns. A day's state is factors (K) plus a local residual (V); both
follow first-order autoregressions, as in Richardson's (1981) generator and its multisite successors (Wilks 1998).
"""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from meteo.observation import FIELDS, Floats

VARIABLES = (
    *(field.name for field in FIELDS if not field.compass),
    "gust_u", "gust_v", "wind_u_9am", "wind_v_9am", "wind_u_3pm", "wind_v_3pm",
)  # fmt: skip
"""What is simulated at each station. `rainfall` is what falls from 9am of the day to 9am of the next; of the wind
components only the direction is used."""

RAIN = VARIABLES.index("rainfall")
HARMONICS = 2
SCORES = np.array([-3.5, -2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3.5])
"""Standard normal scores at which each series' distribution is kept."""

PATH = Path(__file__).with_name("climate.npz")


@dataclass(frozen=True)
class Climate:
    """mean, spread: (S, V, 1 + 2 HARMONICS) seasonal harmonics; quantiles: (S, V, len(SCORES)) of the standardised
    anomaly, for rainfall of the amount (mm) on wet days; wet: (S, 1 + 2 HARMONICS) harmonics of the score above which
    it rains; loadings: (S * V, K); dynamics: (K, K); shocks: (K, K) square root of the innovations' covariance;
    local_memory, local_spread: (S * V,); local_shape: (S, V, V) square root of the residuals' correlation at a station;
    missing: (S, fields) share of days without a value; stations: (S,) names."""

    stations: np.ndarray
    mean: Floats
    spread: Floats
    quantiles: Floats
    wet: Floats
    loadings: Floats
    dynamics: Floats
    shocks: Floats
    local_memory: Floats
    local_spread: Floats
    local_shape: Floats
    missing: Floats

    @classmethod
    def load(cls, path: Path = PATH) -> "Climate":
        with np.load(path) as stored:
            given = {field.name: stored[field.name] for field in fields(cls)}
        return cls(**{name: part if part.dtype.kind == "U" else part.astype(float) for name, part in given.items()})

    def save(self, path: Path) -> None:
        """Half precision is plenty for figures that are uncertain in the second digit."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        packed = {name: part if part.dtype.kind == "U" else part.astype(np.float16) for name, part in parts.items()}
        np.savez_compressed(path, **packed)


def harmonics(angle: Floats) -> Floats:
    """1, cos, sin, cos 2, sin 2 … of the season's angle, (n, 1 + 2 HARMONICS)."""
    waves = [np.ones_like(angle)]
    for order in range(1, HARMONICS + 1):
        waves += [np.cos(order * angle), np.sin(order * angle)]
    return np.column_stack(waves)
