"""The page as a part of the server's application: its middleware, its routes and its sessions."""

from __future__ import annotations

import gradio as gr
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError

from app.context import Server
from app.limits import RateLimits
from app.middleware.uploads import Uploads
from app.shares.store import ShareStore
from app.ui.assets import HEAD, STYLE
from app.ui.code_pane.example_answers import example_routes
from app.ui.first_screen.markup import first_screen_routes
from app.ui.home_page import HomePageTags, home_page_routes
from app.ui.page import build_playground
from app.ui.serving.gradio_scripts import gradio_script_routes
from app.ui.serving.routes import UiRoutes, explain_types
from app.ui.serving.sessions import Sessions
from app.ui.theme import THEME


class ServedPage:
    """Build the page. Then call ``add_middleware``, and ``mount`` once all other routes are there."""

    def __init__(self, server: Server, shares: ShareStore, rates: RateLimits, uploads: Uploads) -> None:
        self._server = server
        self._shares = shares
        self._rates = rates
        self._uploads = uploads
        self._page = build_playground(server, shares, rates)
        self.sessions = Sessions(self._page)

    def add_middleware(self, app: FastAPI) -> None:
        """Add the middleware for the page's requests."""
        app.add_middleware(HomePageTags, shares=self._shares, limits=self._rates, settings=self._server.settings)
        app.add_middleware(
            UiRoutes,
            page=self._page,
            sessions=self.sessions,
            limits=self._server.limits,
            names_other_files=self._uploads.names_others,
        )

    def mount(self, app: FastAPI) -> None:
        """Serve the page at ``/``."""
        page, settings = self._page, self._server.settings
        app.include_router(home_page_routes())
        app.include_router(first_screen_routes())
        app.include_router(gradio_script_routes())
        app.include_router(example_routes(self._server.models, settings))
        gr.mount_gradio_app(
            app,
            page,
            path="/",
            theme=THEME,
            css=STYLE,
            head=HEAD,
            footer_links=["api"],
            run_history=False,
            auth=settings.users or None,
            root_path=settings.root_path or None,
            ssr_mode=False,
            show_error=True,
        )
        # the mounted application; the page has another one
        page.app = app.router.routes[-1].app  # type: ignore[attr-defined]
        page.app.state_holder = self.sessions
        self.sessions.set_blocks(page)
        page.app.add_exception_handler(RequestValidationError, explain_types)
        # otherwise Gradio would copy any file that a request names, as it does before launch and therefore on a
        # mounted page
        page.has_launched = True
