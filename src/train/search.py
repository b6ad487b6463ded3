"""Hyperparameters that would have served the validation period best; the test period is not looked at."""

from dataclasses import dataclass
from typing import Any

from sklearn.metrics import log_loss

from meteo.training_parameters import Params
from train.dataset import Dataset
from train.fit import Recipe, check, lessons
from train.kinds import KINDS, Progress


@dataclass(frozen=True)
class Trial:
    """One set of parameters and the log loss it came to on the validation period."""

    params: Params
    log_loss: float


def search(dataset: Dataset, recipe: Recipe, trials: int, progress: Progress) -> tuple[Params, list[Trial]]:
    """The best parameters of so many trials and all trials in order; the first are the recipe's own.

    Optuna's tree-structured Parzen estimator proposes; the same seed proposes the same.
    """
    import optuna

    check(dataset, recipe.minimum_rows)
    kind = KINDS[recipe.kind]
    start = kind.parameters(recipe.params)
    _, _, early = lessons(dataset, recipe)
    label = dataset.validation.label
    found: list[Trial] = []

    def objective(trial: Any) -> float:
        params = {**start, **{name: _proposed(trial, name, *bounds) for name, bounds in kind.space.items()}}
        say = f"trial {len(found) + 1} of {trials}"
        chances, _ = kind.tune_on_validation(
            early, dataset.validation, params, recipe.seed, lambda text: progress(f"{say}: {text}")
        )
        found.append(Trial(params, float(log_loss(label, chances))))
        return found[-1].log_loss

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=recipe.seed))
    study.enqueue_trial(
        {name: start[name] for name, (low, high, _) in kind.space.items() if low <= float(start[name]) <= high}
    )
    study.optimize(objective, trials)
    return min(found, key=lambda trial: trial.log_loss).params, found


def _proposed(trial: Any, name: str, low: float, high: float, log: bool) -> float | int:
    if isinstance(low, int):
        whole: int = trial.suggest_int(name, low, high, log=log)
        return whole
    number: float = trial.suggest_float(name, low, high, log=log)
    return number
