"""Schemathesis asks a real daemon everything its OpenAPI document allows, and much that it does not."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.daemon.places import ALPHA, Place, events_are, fresh
from tests.stack import fetch
from tests.toy.chain import ToyChain
from tests.toy.electrum import ToyElectrum

if TYPE_CHECKING:
    from pathlib import Path

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


NAMES = {
    "/treasuries/": ["alpha", "beta"],
    "/endpoints/": ["ops"],
    "/sources/": ["home"],
    "/deliveries/": [1, 2],
    "/outbox/": [1, 2],
}


def asked(url: str, document: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            fetch.schemathesis(),
            *("run", str(document), "--url", url, "--no-color", "--continue-on-failure"),
            *("--phases", "coverage,fuzzing", "--checks", ",".join(CHECKS)),
            *("--max-examples", os.environ.get("SCHEMATHESIS_EXAMPLES", "60"), "--request-timeout", "60"),
            *("--exclude-path", "/api/v1/events/stream"),  # which does not end
        ],
        cwd=document.parent,
        capture_output=True,
        text=True,
        timeout=1_800,
        check=False,
    )


def with_names(document: dict[str, Any]) -> dict[str, Any]:
    """Names that exist among those asked for: else nearly everything would be answered by 404."""
    for path, operations in document["paths"].items():
        names = next((known for part, known in NAMES.items() if part in path), None)
        for operation in operations.values():
            for parameter in operation["parameters"]:
                if parameter["in"] == "path" and names is not None:
                    parameter["schema"] = {"anyOf": [{"enum": names}, parameter["schema"]]}
    return document


@pytest.mark.fuzz
async def test_whatever_is_asked_the_answer_is_as_documented(tmp_path: Path) -> None:
    async with ToyElectrum(ToyChain()) as server:
        place = Place(tmp_path / "place", {"home": server.url})
        async with place.daemon() as daemon:
            await fresh(daemon)
            server.chain.pay(ALPHA, 50_000)
            server.chain.mine()
            await events_are(daemon, 3)
            document = tmp_path / "openapi.json"
            document.write_text(json.dumps(with_names((await daemon.get("/api/openapi.json")).json())))
            done = await asyncio.to_thread(asked, daemon.url, document)
            assert done.returncode == 0, done.stdout
            assert "Failures:" not in done.stdout
            # it still works, and nothing of it was an error in the log
            assert (await daemon.get("/readyz")).status == 200
            assert "level=error" not in daemon.child.log.read_text()
