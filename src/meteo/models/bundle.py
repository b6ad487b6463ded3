"""A published model at work: the same object scores the holdout, the batch and the API's single row.

A bundle is a folder with `card.json` (what the model is) and the files whose SHA-256 the card holds: `model.onnx`,
which turns X into log-odds whatever the kind, the climate that the model learnt with, rows with the log-odds they had
when it was published, and, for kinds that can tell them, what its reasons are computed from. None of them can run code.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from meteo.errors import MeteoError
from meteo.features.climatology import Climate
from meteo.features.matrix import FEATURE_NAMES, Around, feature_matrix
from meteo.models.card import CARD, CLIMATE, GOLDEN, GRAPH, Card, UnusableModel
from meteo.models.explanations import BOOSTER, LINEAR, Matrix, NoReasons, Reasons, reasons_in
from meteo.observation import Floats, Observations

ALWAYS = (GRAPH, CLIMATE, GOLDEN)

_SAME = 1e-3
"""Log-odds of the same row may differ so much between machines, and between a sum of reasons and the graph."""
_CHECK_SECONDS = 180


class Estimator:
    """X -> log-odds by ONNX Runtime, and their reasons. One thread a prediction unless told otherwise: a service
    answers many at once, and threads that wait for each other cost it its latency."""

    def __init__(self, graph: bytes, reasons: Reasons, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._reasons = reasons

    def margin(self, matrix: Matrix) -> Floats:
        """Log-odds of rain, (n,)."""
        margin: Floats = self._session.run(("margin",), {"x": matrix})[0][:, 0].astype(float)
        return margin

    def contributions(self, matrix: Matrix) -> tuple[Floats, float]:
        """Effects on the log-odds (n, d) and the base; base + a row's effects = its margin."""
        return self._reasons.contributions(matrix)


class Model:
    """An estimator with the climate it learnt with and its card: what the product serves as one version."""

    def __init__(
        self, files: Mapping[str, bytes], card: Card, version: str = "", digest: str = "", threads: int = 1
    ) -> None:
        self.files = files
        self.card = card
        self.version = version
        self.digest = digest
        """The SHA-256 of the card file it was loaded with."""
        self.climate = Climate.parse(files[CLIMATE])
        self.estimator = Estimator(files[GRAPH], reasons_in(files), threads)

    @classmethod
    def load(cls, folder: Path, version: str, threads: int = 1) -> "Model":
        """The bundle in `folder`; UnusableModel where anything is not as its card says."""
        try:
            text = (folder / CARD).read_bytes()
            card = Card.model_validate_json(text)
            files = {name: (folder / name).read_bytes() for name in dict.fromkeys((*ALWAYS, *card.digests))}
        except (OSError, ValueError) as error:
            raise UnusableModel(f"model version {version} cannot be read: {error}") from error
        for name, content in files.items():
            if _digest(content) != card.digests.get(name):
                raise UnusableModel(f"model version {version}: {name} is not the file that was published")
        if card.features != FEATURE_NAMES:
            raise UnusableModel(f"model version {version} was made for other features than this program computes")
        try:
            return cls(files, card, version, _digest(text), threads)
        except Exception as error:  # the runtime has no error class of its own
            raise UnusableModel(f"model version {version} cannot be loaded: {error}") from error

    def save(self, folder: Path) -> None:
        """Write the bundle into `folder`, the card last."""
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        (folder / CARD).write_text(self.card.model_dump_json(indent=1), encoding="utf-8")

    def matrix(self, observations: Observations, around: Around, rained: Floats | None = None) -> Matrix:
        """X (n, d) of the rows."""
        return feature_matrix(observations, around, self.climate, rained)

    def predict(
        self, observations: Observations, around: Around, rained: Floats | None = None
    ) -> tuple[Floats, Matrix]:
        """The chance of rain in each row's period, (n,), and the X (n, d) it was computed from."""
        matrix = self.matrix(observations, around, rained)
        return self.probability(matrix), matrix

    def probability(self, matrix: Matrix) -> Floats:
        """The chance of rain, (n,), of rows of X."""
        return sigmoid(self.estimator.margin(matrix))


def seal(files: Mapping[str, bytes], climate: Climate, golden: Matrix, card: Card, threads: int = 1) -> Model:
    """The model that `files` and `climate` make, sealed by the digests in its card; `golden` are rows of X whose
    log-odds every later load must find again."""
    margin = Estimator(files[GRAPH], NoReasons()).margin(golden)
    rows = [[None if np.isnan(value) else value for value in row] for row in golden.tolist()]
    known = {"rows": rows, "margin": margin.tolist()}
    sealed = {**files, CLIMATE: climate.text().encode(), GOLDEN: json.dumps(known).encode()}
    digests = {name: _digest(content) for name, content in sealed.items()}
    return Model(sealed, card.model_copy(update={"digests": digests}), threads=threads)


def try_out(folder: Path, version: str) -> None:
    """Load the bundle in a process of its own and score its golden rows; UnusableModel when it does not find what was
    found at its publication, or dies. A damaged model can take its process with it."""
    command = [sys.executable, "-m", "meteo.models.bundle", str(folder), version]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_CHECK_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise UnusableModel(f"model version {version} did not answer within {_CHECK_SECONDS} s when tried") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"its process ended with {done.returncode}"]
        raise UnusableModel(f"model version {version} failed when tried: {last[0]}")


def _check(folder: Path, version: str) -> None:
    model = Model.load(folder, version)
    golden = json.loads(model.files[GOLDEN])
    matrix = np.array(golden["rows"], dtype=np.float32).reshape(-1, len(FEATURE_NAMES))
    margin = model.estimator.margin(matrix)
    if not np.allclose(margin, golden["margin"], atol=_SAME, rtol=0):
        raise UnusableModel(f"golden rows give {margin[:3]} where {golden['margin'][:3]} is right")
    if {BOOSTER, LINEAR} & set(model.files):
        effects, base = model.estimator.contributions(matrix)
        if not np.allclose(base + effects.sum(axis=1), margin, atol=_SAME, rtol=0):
            raise UnusableModel("its reasons do not add up to its log-odds")


def sigmoid(margin: Floats) -> Floats:
    """Log-odds -> probability."""
    probability: Floats = 1 / (1 + np.exp(-margin))
    return probability


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    os.nice(10)
    try:
        _check(Path(sys.argv[1]), sys.argv[2])
    except MeteoError as error:
        sys.exit(error.detail)
