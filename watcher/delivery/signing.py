"""Standard Webhooks signatures: HMAC-SHA256 over `id.timestamp.body`, one for each secret in use."""

from __future__ import annotations

import base64
import binascii
import math
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from standardwebhooks import Webhook

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX: Final = "whsec_"
# the specification's bounds on a secret's size, and what `new_secret` makes
MIN_BYTES: Final = 24
MAX_BYTES: Final = 64
NEW_BYTES: Final = 32


def new_secret(draw: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A fresh `whsec_…`; `draw(n)` gives n unpredictable bytes."""
    return PREFIX + base64.b64encode(draw(NEW_BYTES)).decode()


def secret_bytes(secret: str) -> bytes:
    """The key in a `whsec_…`; raises ValueError, without the secret in it, when it is not one."""
    if not secret.startswith(PREFIX):
        raise ValueError(f"a signing secret begins with {PREFIX}")
    text = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        # `from None`: the original error may quote the text
        raise ValueError(f"what follows {PREFIX} in a signing secret is base64") from None
    if not MIN_BYTES <= len(key) <= MAX_BYTES:
        raise ValueError(f"a signing secret has {MIN_BYTES} to {MAX_BYTES} bytes, this one has {len(key)}")
    return key


class Signer:
    """Signs with the secret and, while one is being replaced, with the one before it too."""

    def __init__(self, secret: str, previous_secret: str | None = None) -> None:
        in_use = (secret,) if previous_secret is None else (secret, previous_secret)
        self._keys = tuple(Webhook(secret_bytes(each)) for each in in_use)

    def headers(self, webhook_id: str, at: float, body: str) -> dict[str, str]:
        """The headers of an attempt made then (seconds since 1970); the newest secret's signature first."""
        moment = datetime.fromtimestamp(math.floor(at), UTC)
        return {
            "webhook-id": webhook_id,
            "webhook-timestamp": str(math.floor(at)),
            "webhook-signature": " ".join(key.sign(webhook_id, moment, body) for key in self._keys),
        }
