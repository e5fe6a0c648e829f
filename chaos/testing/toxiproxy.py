"""toxiproxy-python behind one adapter: bound to a server for as long as a block lasts, with deadlines, and a 500 is an error."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from chaos.errors import NotReadyError, ProxyError

__all__ = ["bound_toxiproxy"]

CALL_WITHIN_S = 5.0


@contextmanager
def bound_toxiproxy(host: str, port: int) -> Iterator[Any]:
    """A `toxiproxy.Toxiproxy` whose calls go to this server; its proxies are destroyed on the way out.

    The library keeps its address on a class, waits without end and takes a 500 for success: inside the block neither holds, and
    afterwards it is as it was. One block at a time in a process. Raises NotReadyError where it is not installed; calls raise
    ProxyError for a status above 499 and, as ever, `requests` errors for none.
    """
    try:
        api: Any = importlib.import_module("toxiproxy.api")
        client = importlib.import_module("toxiproxy").Toxiproxy()
    except ImportError as error:
        raise NotReadyError("toxiproxy-python is not installed; run: pip install 'chaos-drill[toxiproxy]'") from error
    before = api.APIConsumer.host, api.APIConsumer.port, api.requests, api.validate_response
    api.APIConsumer.host, api.APIConsumer.port = host, port
    api.requests, api.validate_response = _bounded(api.requests), _refusing_failures(api.validate_response)
    try:
        yield client
        client.destroy_all()
    finally:
        api.APIConsumer.host, api.APIConsumer.port, api.requests, api.validate_response = before


def _bounded(requests: Any) -> Any:
    """The verbs that the library uses, each with a deadline."""

    def bounded(verb: Any) -> Any:
        return lambda *args, **kwargs: verb(*args, **{"timeout": CALL_WITHIN_S, **kwargs})

    return SimpleNamespace(**{name: bounded(getattr(requests, name)) for name in ("get", "post", "delete")})


def _refusing_failures(validate: Any) -> Any:
    def refusing(response: Any) -> Any:
        if response.status_code >= 500:
            text = response.text[:200].strip()
            raise ProxyError(f"{response.request.method} {response.url}: {response.status_code} {text}")
        return validate(response)

    return refusing
