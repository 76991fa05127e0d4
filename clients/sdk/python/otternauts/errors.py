"""Errors the server answers with."""

from __future__ import annotations

import json
from typing import Any, Mapping


class StatusError(Exception):
    """An answer that is an error. ``reason`` is for programs: ``NotFound``, ``Conflict``, ``Invalid``, ..."""

    def __init__(self, code: int, status: Mapping[str, Any], retry_after: float | None = None) -> None:
        super().__init__(status.get("message") or f"the server answered {code}")
        self.code = code
        self.reason: str = status.get("reason", "")
        self.status = status
        details = status.get("details") or {}
        self.retry_after: float | None = retry_after if retry_after is not None else details.get("retryAfterSeconds")

    @classmethod
    def of(cls, code: int, headers: Mapping[str, str], body: bytes) -> StatusError:
        text = body.decode("utf-8", "replace").strip()
        status: Mapping[str, Any] = {"message": text}
        try:
            parsed = json.loads(text)
            if isinstance(parsed, dict) and parsed.get("kind") == "Status":
                status = parsed
        except ValueError:
            pass  # A proxy in between, or a plain 404: the text is the message.
        after = headers.get("retry-after", "")
        return cls(code, status, float(after) if after.isdigit() else None)
