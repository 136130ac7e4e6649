"""Secrets: named in the config, read as late as possible, shown never.

A secret lies in a file of its own or among systemd's credentials. Neither is read when the config is:
an operator who checks a config need not be allowed to read what the daemon reads.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from watcher.config.urls import Url, parse_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.config.document import Place

_MOST = 64 * 1024
_SIGNING_BYTES = range(24, 65)  # Standard Webhooks, "Signature scheme": between 24 and 64 bytes


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that is had by `reveal` alone."""

    _text: str = field(repr=False)

    def reveal(self) -> str:
        """The secret itself."""
        return self._text

    def __repr__(self) -> str:
        """Never the secret."""
        return "***"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A secret in a file; `place` is where the config names it."""

    path: Path
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SecretCredential:
    """A secret among the service's credentials ($CREDENTIALS_DIRECTORY)."""

    name: str
    place: Place = field(compare=False, repr=False)


SecretReference: TypeAlias = SecretFile | SecretCredential
UrlReference: TypeAlias = Url | SecretFile | SecretCredential


class SecretProblem(Exception):
    """A secret that cannot be used; the text says why and never what it is."""


class SecretNotReadable(SecretProblem):
    """A secret that this user may not read, or that only the service is given: it cannot be checked here."""


def read_secret(reference: SecretReference, *, environ: Mapping[str, str]) -> Secret:
    """The secret, without the line end that editors add; raises `SecretProblem`."""
    match reference:
        case SecretFile(path=path):
            pass
        case SecretCredential(name=name):
            folder = environ.get("CREDENTIALS_DIRECTORY")
            if not folder:
                raise SecretNotReadable("only the service is given its credentials ($CREDENTIALS_DIRECTORY)")
            path = Path(folder) / name
    try:
        with path.open("rb") as opened:
            content = opened.read(_MOST + 1)
    except PermissionError:
        raise SecretNotReadable(f"{path} may not be read by this user") from None
    except OSError as error:
        raise SecretProblem(f"{path}: {error.strerror}") from None
    except ValueError:  # a NUL in the name
        raise SecretProblem("its name holds the character NUL, which no name of a file can") from None
    if len(content) > _MOST:
        raise SecretProblem(f"{path} is larger than {_MOST} bytes")
    try:
        text = content.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise SecretProblem(f"{path} is not UTF-8") from None
    if not text:
        raise SecretProblem(f"{path} is empty")
    return Secret(text)


def read_signing_secret(reference: SecretReference, *, environ: Mapping[str, str]) -> Secret:
    """A webhook's signing secret, `whsec_` and base64; raises `SecretProblem`."""
    secret = read_secret(reference, environ=environ)
    encoded = secret.reveal().removeprefix("whsec_")
    if encoded == secret.reveal():
        raise SecretProblem('a signing secret begins with "whsec_" (make one with `watcher secret`)')
    try:
        size = len(base64.b64decode(encoded, validate=True))
    except binascii.Error:
        raise SecretProblem("the signing secret is not base64 after whsec_") from None
    if size not in _SIGNING_BYTES:
        raise SecretProblem(f"the signing secret has {size} bytes: between 24 and 64 are needed")
    return secret


def read_url(reference: UrlReference, *, schemes: tuple[str, ...], environ: Mapping[str, str]) -> Url:
    """The URL, from wherever it is kept; raises `SecretProblem`."""
    if isinstance(reference, Url):
        return reference
    try:
        return parse_url(read_secret(reference, environ=environ).reveal(), schemes)
    except ValueError as error:
        raise SecretProblem(f"the URL {error}") from None
