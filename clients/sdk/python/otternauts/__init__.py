"""A client of the Otternauts API. Start with :class:`Client` or :class:`AsyncClient` and the constants of :mod:`otternauts.models`."""

from .aio import AsyncClient, AsyncHandle
from .client import Client, Handle, Watch
from .config import Config
from .credentials import Credentials, Token
from .core import Event, Page
from .errors import StatusError
from .resource import Resource

__all__ = ["AsyncClient", "AsyncHandle", "Client", "Config", "Credentials", "Event", "Handle", "Page", "Resource", "StatusError", "Token", "Watch"]
