"""Errors the server answers with."""

from __future__ import annotations

import json
from typing import Mapping, cast

from .models import Status


class StatusError(Exception):
    """An answer that is an error. ``reason`` is for programs: ``NotFound``, ``Conflict``, ``Invalid``, ..."""

    code: int
    """The HTTP status."""

    reason: str
    """Why, in one word; empty when the server gave none."""

    status: Status
    """Everything the server said."""

    retry_after: float | None
    """Seconds to wait, if the server said so."""

    def __init__(self, code: int, status: Status, retry_after: float | None = None) -> None:
        super().__init__(status.get("message") or f"the server answered {code}")
        self.code = code
        self.reason = status.get("reason") or ""
        self.status = status
        details = status.get("details") or {}
        self.retry_after = retry_after if retry_after is not None else details.get("retryAfterSeconds")

    @classmethod
    def of(cls, code: int, headers: Mapping[str, str], body: bytes) -> StatusError:
        """The error that an answer is."""
        text = body.decode("utf-8", "replace").strip()
        status: Status = {"message": text}
        try:
            parsed = json.loads(text)
            if isinstance(parsed, dict) and parsed.get("kind") == "Status":
                status = cast(Status, parsed)
        except ValueError:
            pass  # A proxy in between, or a plain 404: the text is the message.
        after = headers.get("retry-after", "")
        return cls(code, status, float(after) if after.isdigit() else None)
