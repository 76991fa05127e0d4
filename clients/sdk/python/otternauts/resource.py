"""Where objects of a kind are served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Mapping, TypeVar, cast
from urllib.parse import quote

T = TypeVar("T")


@dataclass(frozen=True)
class Resource(Generic[T]):
    """One kind. For kinds of your own CRDs write one yourself: ``Resource[dict[str, Any]](...)``."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        """GROUP/VERSION, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """The path of the collection, an object or a part of it; ``None`` means all namespaces."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if self.namespaced and namespace is not None:
            root += f"/namespaces/{quote(namespace, safe='')}"
        parts = [root, self.plural, quote(name, safe=""), subresource]
        return "/".join(part for part in parts if part)

    def typed(self, item: T) -> dict[str, Any]:
        """The object as it is sent: with its ``apiVersion`` and ``kind``."""
        return {**cast(Mapping[str, Any], item), "apiVersion": self.api_version, "kind": self.kind}
