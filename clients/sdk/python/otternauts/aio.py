"""The client for asyncio: the same calls, awaited."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any, AsyncGenerator, AsyncIterator, Callable, Generic, Mapping, Sequence, TypeVar, cast

import httpx

from . import core
from .config import Config
from .core import Event, Page, PatchType
from .errors import StatusError
from .models import DeleteOptions, JsonPatchOperation, Status
from .resource import Resource

T = TypeVar("T")


class AsyncClient:
    """A connection to one server. For one event loop."""

    def __init__(self, config: Config | None = None) -> None:
        """For ``config``, or for what :meth:`Config.load` finds."""
        self.config = config or Config.load()
        verify = self.config.tls() if self.config.server.startswith("https") else False
        transport = httpx.AsyncHTTPTransport(verify=verify, socket_options=core.KEEP_ALIVE)
        self._http = httpx.AsyncClient(base_url=self.config.server, transport=transport, timeout=core.TIMEOUT, trust_env=False)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Lets go of its connections."""
        await self._http.aclose()

    def resource(self, resource: Resource[T], namespace: str | None = None) -> AsyncHandle[T]:
        """The objects of one kind, in ``namespace``, or where the client is at home. ``"*"``: everywhere."""
        place = namespace or self.config.namespace
        return AsyncHandle(self, resource, None if place == "*" else place)

    async def _bearer(self) -> str | None:
        # A plugin is a program that may take its time: not on the event loop.
        return self.config.token or await asyncio.to_thread(self.config.bearer) if self.config.credentials else self.config.token

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: object = None, media: str = "application/json"
    ) -> AsyncIterator[httpx.Response]:
        """One request, retried where that is safe; its answer is not read yet. Raises :class:`StatusError`."""
        attempt = 0
        while True:
            attempt += 1
            bearer = await self._bearer()
            headers = core.headers(bearer, None if body is None else media)
            request = self._http.build_request(method, path, params=query, json=body, headers=headers)
            try:
                response = await self._http.send(request, stream=True)
            except httpx.TransportError:
                wait = core.wait_before_retry(None, method, attempt, self.config, bearer)
                if wait is None:
                    raise
            else:
                if response.is_success:
                    break
                error = StatusError.of(response.status_code, response.headers, await response.aread())
                await response.aclose()
                wait = core.wait_before_retry(error, method, attempt, self.config, bearer)
                if wait is None:
                    raise error
            await asyncio.sleep(wait)
        try:
            yield response
        finally:
            await response.aclose()

    async def request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: object = None, media: str = "application/json"
    ) -> Any:
        """As :meth:`stream`, with the answer's JSON: for what has no method here."""
        async with self.stream(method, path, query, body, media) as response:
            await response.aread()
            return response.json()


class AsyncHandle(Generic[T]):
    """The objects of one kind in one place."""

    def __init__(self, client: AsyncClient, resource: Resource[T], namespace: str | None) -> None:
        """Use :meth:`AsyncClient.resource`."""
        self.client = client
        self.resource = resource
        self.namespace = namespace

    def path(self, name: str = "", subresource: str = "") -> str:
        """Of the collection, an object or a part of it."""
        return self.resource.path(self.namespace, name, subresource)

    async def get(self, name: str) -> T:
        """Reads one object."""
        return cast(T, await self.client.request("GET", self.path(name)))

    async def list(
        self,
        label_selector: str | None = None,
        field_selector: str | None = None,
        limit: int = 500,
        continue_from: str | None = None,
    ) -> Page[T]:
        """One page; ``continue_from`` is :attr:`Page.next` of the one before."""
        query = {"limit": str(limit), **core.selection(label_selector, field_selector)}
        if continue_from is not None:
            query["continue"] = continue_from
        return core.page(await self.client.request("GET", self.path(), query))

    async def pages(
        self, label_selector: str | None = None, field_selector: str | None = None, limit: int = 500
    ) -> AsyncGenerator[Page[T]]:
        """Every page, as one is needed."""
        found = await self.list(label_selector, field_selector, limit)
        yield found
        while found.next is not None:
            found = await self.list(label_selector, field_selector, limit, found.next)
            yield found

    async def all(
        self, label_selector: str | None = None, field_selector: str | None = None, limit: int = 500
    ) -> AsyncGenerator[T]:
        """Every object."""
        async for found in self.pages(label_selector, field_selector, limit):
            for item in found.items:
                yield item

    async def create(self, item: T, field_manager: str | None = None, dry_run: bool = False) -> T:
        """Makes an object; its ``apiVersion`` and ``kind`` are filled in."""
        query = core.write_query(field_manager, dry_run)
        return cast(T, await self.client.request("POST", self.path(), query, self.resource.typed(item)))

    async def replace(self, item: T, subresource: str = "", field_manager: str | None = None, dry_run: bool = False) -> T:
        """Writes the whole object; refused with ``Conflict`` when it changed since it was read."""
        body = self.resource.typed(item)
        path = self.path(body["metadata"]["name"], subresource)
        return cast(T, await self.client.request("PUT", path, core.write_query(field_manager, dry_run), body))

    async def update(self, name: str, change: Callable[[T], None], field_manager: str | None = None) -> T:
        """Reads, changes and writes, again when somebody else was faster."""
        attempt = 0
        while True:
            attempt += 1
            item = await self.get(name)
            change(item)
            try:
                return await self.replace(item, field_manager=field_manager)
            except StatusError as error:
                if error.reason != "Conflict" or attempt >= core.ATTEMPTS:
                    raise
            await asyncio.sleep(core.backoff(attempt))

    async def patch(
        self,
        name: str,
        kind: PatchType,
        patch: Mapping[str, object] | Sequence[JsonPatchOperation],
        subresource: str = "",
        field_manager: str | None = None,
        dry_run: bool = False,
    ) -> T:
        """Changes parts of an object: a mapping for ``merge`` and ``strategic``, operations for ``json``."""
        path, media = self.path(name, subresource), core.PATCH_TYPES[kind]
        return cast(T, await self.client.request("PATCH", path, core.write_query(field_manager, dry_run), patch, media))

    async def apply(self, item: T, manager: str, force: bool = False, subresource: str = "", dry_run: bool = False) -> T:
        """Server-side apply: says what ``manager`` wants, and takes fields from others only with ``force``."""
        body = self.resource.typed(item)
        path, query = self.path(body["metadata"]["name"], subresource), core.write_query(manager, dry_run, force)
        return cast(T, await self.client.request("PATCH", path, query, body, core.APPLY))

    async def delete(self, name: str, options: DeleteOptions | None = None) -> T | Status:
        """Answers the object while finalizers hold it, else a Status."""
        return cast(T | Status, await self.client.request("DELETE", self.path(name), body=options or {}))

    async def delete_all(self, label_selector: str | None = None, field_selector: str | None = None) -> None:
        """Removes every object that is selected."""
        await self.client.request("DELETE", self.path(), core.selection(label_selector, field_selector))

    async def watch(
        self,
        label_selector: str | None = None,
        field_selector: str | None = None,
        resource_version: str | None = None,
        bookmarks: bool = False,
    ) -> AsyncGenerator[Event[T]]:
        """The current objects as ADDED, then every change; with ``resource_version`` only what changed after it.

        It ends when its task is cancelled. A connection that breaks is made again where it was; when the server has forgotten
        that place (410), everything is listed and the differences come as events: nothing is lost, no deletion either.
        """
        state = core.Watching(resource_version, bookmarks)
        selected = core.selection(label_selector, field_selector)
        while True:
            try:
                if state.version is None:
                    found = [part async for part in self.pages(label_selector, field_selector)]
                    items = [item for part in found for item in part.items]
                    for event in state.listed(items, found[-1].resource_version):
                        yield event
                async with self.client.stream("GET", self.path(), state.query(selected)) as response:
                    async for line in response.aiter_lines():
                        if line and (seen := state.line(line)):
                            yield seen
            except StatusError as error:
                state.failed(error)
            except (httpx.TransportError, ValueError):
                pass  # Broken, perhaps in the middle of a line: made again below.
            await asyncio.sleep(state.pause())

    async def wait(self, name: str, wanted: Callable[[T], bool]) -> T:
        """Waits until the object is as wanted."""
        async for event in self.watch(field_selector=f"metadata.name={name}"):
            if event.type in ("ADDED", "MODIFIED") and wanted(event.object):
                return event.object
        raise AssertionError("a watch does not end")
