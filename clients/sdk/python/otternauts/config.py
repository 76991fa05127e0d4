"""Where the server is and who we are."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass
class Config:
    """Made by hand, or by :meth:`load` from a kubeconfig."""

    server: str
    token: str | None = None
    namespace: str = "default"
    ca: str | None = None
    """PEM. Without it the system's authorities are trusted."""
    client_cert: str | None = None
    client_key: str | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Config:
        """The current context of ``path``, of ``KUBECONFIG``, or of ``~/.kube/config``."""
        file = Path(path or os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
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
        token = user.get("token")
        if token is None and "tokenFile" in user:
            token = (file.parent / user["tokenFile"]).read_text().strip()
        return cls(
            server=cluster["server"],
            token=token,
            namespace=context.get("namespace") or "default",
            ca=pem(cluster, "certificate-authority"),
            client_cert=pem(user, "client-certificate"),
            client_key=pem(user, "client-key"),
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

    def headers(self) -> dict[str, str]:
        headers = {"accept": "application/json", "user-agent": "otternauts-python/0.1"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        return headers
