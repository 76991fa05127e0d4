"""Where the server is and who we are."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .credentials import Credentials, from_file, from_plugin


@dataclass
class Config:
    """Made by hand, or by :meth:`load` from a kubeconfig."""

    server: str
    """``https://127.0.0.1:7443``"""

    token: str | None = field(default=None, repr=False)
    """A bearer token that stays as it is."""

    namespace: str = "default"
    """Used by calls that name none."""

    ca: str | None = None
    """PEM. Without it the system's authorities are trusted."""

    client_cert: str | None = None
    """PEM; needs :attr:`client_key`."""

    client_key: str | None = field(default=None, repr=False)
    """PEM."""

    credentials: Credentials | None = None
    """Used when there is no :attr:`token`: a source that may be asked again."""

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Config:
        """The current context of ``path``, of ``KUBECONFIG``, or of ``~/.kube/config``."""
        file = Path(path or os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config").absolute()
        document: dict[str, Any] = yaml.safe_load(file.read_text())

        def pick(section: str, kind: str, name: str) -> dict[str, Any]:
            for entry in document.get(section) or []:
                if entry["name"] == name:
                    found: dict[str, Any] = entry[kind]
                    return found
            raise ValueError(f"{file}: no {kind} named {name}")

        def pem(source: dict[str, Any], key: str) -> str | None:
            if f"{key}-data" in source:
                return base64.b64decode(source[f"{key}-data"]).decode()
            return (file.parent / source[key]).read_text() if key in source else None

        context = pick("contexts", "context", document["current-context"])
        cluster = pick("clusters", "cluster", context["cluster"])
        user = pick("users", "user", context["user"])
        return cls(
            server=cluster["server"],
            token=user.get("token"),
            namespace=context.get("namespace") or "default",
            ca=pem(cluster, "certificate-authority"),
            client_cert=pem(user, "client-certificate"),
            client_key=pem(user, "client-key"),
            credentials=_credentials(user, file.parent),
        )

    def tls(self) -> ssl.SSLContext:
        """What both clients connect with."""
        context = ssl.create_default_context(cadata=self.ca)
        if self.client_cert and self.client_key:
            # OpenSSL reads keys from files only: a private one, gone at once.
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
                file.write(self.client_cert + "\n" + self.client_key)
                file.flush()
                context.load_cert_chain(file.name)
        return context

    def bearer(self) -> str | None:
        """The token to send now; may wait for a plugin."""
        return self.token or (self.credentials.token() if self.credentials else None)


def _credentials(user: dict[str, Any], folder: Path) -> Credentials | None:
    if "tokenFile" in user:
        return from_file(folder / user["tokenFile"])
    if "exec" not in user:
        return None
    plugin: dict[str, Any] = user["exec"]
    env = {entry["name"]: entry["value"] for entry in plugin.get("env") or []}
    return from_plugin(plugin["command"], plugin.get("args") or [], env, folder, plugin["apiVersion"])
