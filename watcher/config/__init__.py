"""The operator's config: read, checked as a whole, and handed on as immutable values."""

from __future__ import annotations

from watcher.config.credentials import (
    Secret,
    SecretCredential,
    SecretFile,
    SecretNotReadable,
    SecretProblem,
    read_secret,
    read_signing_secret,
    read_url,
)
from watcher.config.digest import config_digest
from watcher.config.errors import ConfigError, ConfigErrors
from watcher.config.load import load_config
from watcher.config.secrets_check import SecretReport, check_secrets
from watcher.config.settings import Config, Endpoint, SourceConfig, Treasury, WatchedScript
from watcher.config.urls import ListenTcp, ListenUnix, Url

__all__ = [
    "Config",
    "ConfigError",
    "ConfigErrors",
    "Endpoint",
    "ListenTcp",
    "ListenUnix",
    "Secret",
    "SecretCredential",
    "SecretFile",
    "SecretNotReadable",
    "SecretProblem",
    "SecretReport",
    "SourceConfig",
    "Treasury",
    "Url",
    "WatchedScript",
    "check_secrets",
    "config_digest",
    "load_config",
    "read_secret",
    "read_signing_secret",
    "read_url",
]
