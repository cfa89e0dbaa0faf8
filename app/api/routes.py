"""All endpoints of the API."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from app.api.attribution import attribution_routes
from app.api.keys import key_check
from app.api.llama_cpp import llama_cpp_routes
from app.api.ollama import ollama_routes
from app.api.openai import openai_routes
from app.api.running import Server
from app.api.tgi import tgi_routes


def add_routes(app: FastAPI, server: Server) -> None:
    """Let ``app`` answer the clients of every protocol."""
    checked = [Depends(key_check(server.settings.keys))]
    for routes in (openai_routes, llama_cpp_routes, tgi_routes, ollama_routes, attribution_routes):
        app.include_router(routes(server), dependencies=checked)
