"""A LitServe server with one worker."""

import os

import litserve
import numpy as np
import xgboost


class Rain(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.booster = xgboost.Booster(model_file=os.environ["MODEL"])
        self.booster.set_param({"nthread": 1})

    def decode_request(self, request: dict[str, list[list[float]]]) -> np.ndarray:
        return np.array(request["rows"], dtype=np.float32)

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        return self.booster.inplace_predict(matrix)

    def encode_response(self, output: np.ndarray) -> dict[str, list[float]]:
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Rain(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False, log_level="error")
