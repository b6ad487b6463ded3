import os

import bentoml
import numpy as np
import xgboost


@bentoml.service(workers=1)
class Rain:
    def __init__(self) -> None:
        self.booster = xgboost.Booster(model_file=os.environ["MODEL"])
        self.booster.set_param({"nthread": 1})

    @bentoml.api
    def predict(self, rows: list[list[float]]) -> list[float]:
        found: list[float] = self.booster.inplace_predict(np.array(rows, dtype=np.float32)).tolist()
        return found
