"""The floor under any answer in Python: Starlette under uvicorn, and a constant."""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

CONSTANT = {"price": 4729.65, "currency": "USD", "low": 3886.64, "high": 5257.48, "confidence": 0.9}


async def answer(_: Request) -> JSONResponse:
    """The same to everyone."""
    return JSONResponse(CONSTANT)


app = Starlette(routes=[Route("/answer", answer, methods=["POST"]), Route("/readyz", answer)])

if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="error",
    )
