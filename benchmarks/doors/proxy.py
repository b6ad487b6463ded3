"""The proxy that everybody writes first: FastAPI, a dependency that reads the token, one shared httpx client."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import jwt
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import OAuth2PasswordBearer

from meteo.runtime.service_tokens import Caller, ServiceTokens

SERVICE = ServiceTokens(os.environ["METEO_SERVICE_SECRET"])
token = OAuth2PasswordBearer("token")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=os.environ["BEHIND"]) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


def user(shown: Annotated[str, Depends(token)]) -> str:
    try:
        return str(jwt.decode(shown, os.environ["JWT_SECRET"], algorithms=["HS256"])["sub"])
    except jwt.PyJWTError:
        raise HTTPException(401) from None


@app.post("/predict")
async def predict(request: Request, username: Annotated[str, Depends(user)]) -> Response:
    answer = await app.state.client.post(
        "/predict",
        content=await request.body(),
        headers={"Authorization": f"Bearer {SERVICE.issue(Caller(username, 'user', 'gateway'))}"},
    )
    return Response(answer.content, answer.status_code, media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning", access_log=False)
