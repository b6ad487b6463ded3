"""What most projects write: a FastAPI endpoint that makes a DataFrame and calls predict_proba."""

import os

import pandas as pd
import uvicorn
import xgboost
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
model = xgboost.XGBClassifier(n_jobs=1)
model.load_model(os.environ["MODEL"])


class Asked(BaseModel):
    columns: list[str]
    data: list[list[float]]


@app.post("/predict")
def predict(asked: Asked) -> dict[str, float]:
    frame = pd.DataFrame(asked.data, columns=asked.columns)
    return {"probability": float(model.predict_proba(frame)[0, 1])}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="error", access_log=False)
