"""Serves only browsers on this machine that show the live page, and refuses everybody else.

The server listens on loopback only. Another page in the same browser can still send requests to the server, and the
name of that page's host may lead to the server (DNS rebinding). So a request must name our host, and must come from our
origin. Whoever acts must also show the token, which only the address of the page contains. The token is in the part of
an address that a browser never sends.

When a browser navigates or downloads, it does not send the origin. But the browser says whether another site has asked
for the navigation or the download (Fetch Metadata). Another page may have a link to the live page, but to nothing else
of the server. A download of the events would never end.
"""

import secrets
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sim.live.refusal import RequestRefusedError

TOKEN_HEADER = "Mooring-Token"  # noqa: S105  the name of a header
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Headers of every answer. The server adds these headers (`sim/live/connections.py`), even to answers that no guard
sees.
"""
_OWN_SITES: tuple[list[str], ...] = ([], ["same-origin"], ["none"])
"""Values of the header Sec-Fetch-Site in requests that do not come from another page. The value `none` means that
somebody typed the address. Old browsers do not send the header.
"""


def refused(refusal: RequestRefusedError) -> Response:
    """Return the answer to a request that is not served."""
    return JSONResponse({"code": refusal.code, "message": refusal.message}, refusal.status)


class Guard:
    """Passes a request on to `app` only if the request names this server, at `port`, and comes from the server's own
    page.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as ASGI describes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        headers, app = Headers(scope=scope), self._app
        try:
            self._check(headers, scope["method"], scope["path"])
        except RequestRefusedError as refusal:
            app = refused(refusal)
        await app(scope, receive, send)

    def _check(self, headers: Headers, method: str, path: str) -> None:
        if headers.getlist("host") not in [[host] for host in self._hosts]:
            raise RequestRefusedError(
                403, "live.host", "the request names another host. Open the page at the address printed here"
            )
        origins = headers.getlist("origin")
        foreign = (origins or method == "POST") and origins not in [[f"http://{host}"] for host in self._hosts]
        if foreign or (path != "/" and headers.getlist("sec-fetch-site") not in _OWN_SITES):
            raise RequestRefusedError(
                403, "live.origin", "the request comes from another page. Use the buttons of this page"
            )


def check_token(headers: Headers, token: str) -> None:
    """Check that a request shows the token. Raises RequestRefusedError `live.token` if not."""
    shown = headers.get(TOKEN_HEADER, "")
    if not secrets.compare_digest(shown.encode(), token.encode()):
        raise RequestRefusedError(
            403, "live.token", "the token is missing or wrong. Open the page at the address printed here"
        )
