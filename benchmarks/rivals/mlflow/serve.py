"""`mlflow models serve` with the XGBoost flavour, one worker."""

import os
import subprocess

import mlflow.xgboost
import xgboost

model = xgboost.XGBRegressor()
model.load_model(os.environ["MODEL"])
mlflow.xgboost.save_model(model, "model")
os.environ["MLFLOW_DISABLE_ENV_CREATION"] = "true"
command = [
    "mlflow",
    "models",
    "serve",
    "-m",
    "model",
    "--env-manager",
    "local",
    "-h",
    "127.0.0.1",
    "-p",
    os.environ["PORT"],
]
subprocess.run([*command, "--workers", "1"], check=True)
