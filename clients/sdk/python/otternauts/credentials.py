"""Where a bearer token comes from: written down, in a file, or said by an exec plugin."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Callable, Mapping, Sequence


@dataclass(frozen=True)
class Token:
    """A bearer token, and when it is of no use any more, if that is known."""

    value: str = field(repr=False)
    expires: datetime | None = None


class Credentials:
    """Asks its source when there is no token yet, when the token's time is over, and after the server refused it."""

    def __init__(self, source: Callable[[], Token]) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._token: Token | None = None

    def token(self) -> str:
        """The token to send now; may wait for a plugin."""
        with self._lock:
            if self._token is None or (self._token.expires is not None and self._token.expires <= datetime.now(timezone.utc)):
                self._token = self._source()
            return self._token.value

    def refused(self, token: str) -> None:
        """The server did not take it: the next :meth:`token` asks the source again."""
        with self._lock:
            if self._token is not None and self._token.value == token:
                self._token = None


def from_file(path: Path) -> Credentials:
    """The first line's token; read again after a 401, for tokens that are renewed in place."""
    return Credentials(lambda: Token(path.read_text().strip()))


def from_plugin(command: str, args: Sequence[str], env: Mapping[str, str], folder: Path, api_version: str) -> Credentials:
    """What an exec plugin of a kubeconfig prints. ``command`` with a slash is meant relative to ``folder``."""

    def run() -> Token:
        program = str(folder / command) if "/" in command else command
        info = {"apiVersion": api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
        environment = {**os.environ, **env, "KUBERNETES_EXEC_INFO": json.dumps(info)}
        done = subprocess.run([program, *args], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if done.returncode != 0:
            raise PermissionError(f"the credential plugin {command} ended with exit code {done.returncode}")
        status = json.loads(done.stdout).get("status") or {}
        if "token" not in status:
            raise PermissionError(f"the credential plugin {command} gave no token (certificates are not taken from plugins)")
        expires = status.get("expirationTimestamp")
        return Token(status["token"], datetime.fromisoformat(expires) if expires else None)

    return Credentials(run)
