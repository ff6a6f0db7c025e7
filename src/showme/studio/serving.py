"""An ASGI application on a port, until it is interrupted."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..optional import needed

if TYPE_CHECKING:
    from fastapi import FastAPI

# Of gradio: what keeps and shows the values of any session.
SHUT = ("/gradio_api/deep_link", "/deep_link", "/monitoring", "/gradio_api/component_server")
# Requests that are being answered when the server is told to stop.
_GRACE_SECONDS = 3


def shut(page: Any) -> None:
    """Have gradio check which files a request names. It does so once a page was launched, and one that is mounted never
    is: until then a request may name any file of the machine, which is copied to where it can be fetched."""
    page.has_launched = True


def check_port(host: str, port: int) -> None:
    """Find out whether a server could listen there.

    Raises:
        InputError: no such address, or something listens there already.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise InputError(f"--host {host} is no address here: 127.0.0.1 is this machine alone.") from error
    with socket.socket(family, kind, protocol) as probe:
        # As servers do: a port that was used a moment ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(f"Nothing can listen at {host}:{port} ({reason}): choose another --port.") from error


def address_of(host: str, port: int, root_path: str = "") -> str:
    """What a browser on this machine opens."""
    shown = "127.0.0.1" if host in ("0.0.0.0", "") else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}{root_path}/"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def serve(app: FastAPI, host: str, port: int, root_path: str = "", ready: Callable[[], object] | None = None) -> None:
    """Answer requests until the process is interrupted or told to end.

    Args:
        app: that answers.
        host, port: where.
        root_path: the prefix under which a proxy in front shows the page, like ``/studio``.
        ready: called when requests are answered.

    Raises:
        InputError: the port cannot be used, or uvicorn is not installed.
    """
    check_port(host, port)
    with needed("uvicorn", "uvicorn", "studio", "The studio"):
        import uvicorn
    config = uvicorn.Config(
        app, host=host, port=port, root_path=root_path, log_level="warning", timeout_graceful_shutdown=_GRACE_SECONDS
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if ready is not None and self.started:
                ready()

    Server(config).run()
