"""Secrets are read late, checked in form, and shown by nobody."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from watcher.config import Secret, check_secrets, read_secret, read_signing_secret, read_url
from watcher.config.credentials import SecretNotReadable, SecretProblem

if TYPE_CHECKING:
    from watcher.config import Endpoint

    from .conftest import Folder

GOOD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
FILES = """
[[endpoints]]
name = "ops"
kind = "webhook"
url_file = "ops.url"
secret_file = "ops.secret"
"""
CREDENTIALS = """
[[endpoints]]
name = "ops"
kind = "webhook"
url_credential = "ops-url"
secret_credential = "ops-secret"
"""


def _endpoint(folder: Folder, text: str) -> Endpoint:
    return folder.load(text).endpoints[0]


def test_a_secret_never_shows_itself() -> None:
    secret = Secret(GOOD)
    assert secret.reveal() == GOOD
    assert {str(secret), repr(secret), f"{secret}", f"{secret!r}"} == {"***"}


def test_secrets_are_read_from_files_beside_the_config(folder: Folder) -> None:
    endpoint = _endpoint(folder, FILES)
    folder.write(f"{GOOD}\n", "ops.secret")
    folder.write("https://hooks.example/T0K3N\n", "ops.url")
    assert endpoint.secret is not None
    assert read_signing_secret(endpoint.secret, environ={}).reveal() == GOOD
    assert (
        read_url(endpoint.urls[0], schemes=("https",), environ={}).reveal() == "https://hooks.example/T0K3N"
    )


def test_secrets_are_read_from_the_services_credentials(folder: Folder) -> None:
    endpoint = _endpoint(folder, CREDENTIALS)
    folder.write(GOOD, "credentials/ops-secret")
    environ = {"CREDENTIALS_DIRECTORY": str(folder.path / "credentials")}
    assert endpoint.secret is not None
    assert read_secret(endpoint.secret, environ=environ).reveal() == GOOD


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("s3cr3t", "begins with"),
        ("whsec_s3cr3t!", "is not base64"),
        ("whsec_czNjcjN0", "has 6 bytes: between 24 and 64 are needed"),
        ("whsec_" + "A" * 88, "has 66 bytes"),
        ("x" * 70_000, "is larger than"),
    ],
)
def test_a_signing_secret_of_another_form_is_refused_unshown(folder: Folder, content: str, why: str) -> None:
    endpoint = _endpoint(folder, FILES)
    folder.write(content, "ops.secret")
    assert endpoint.secret is not None
    with pytest.raises(SecretProblem, match=why) as refused:
        read_signing_secret(endpoint.secret, environ={})
    assert "s3cr3t" not in str(refused.value)


def test_a_url_of_a_file_is_checked_like_any_other(folder: Folder) -> None:
    endpoint = _endpoint(folder, FILES)
    folder.write("http://127.0.0.1/T0K3N", "ops.url")
    with pytest.raises(SecretProblem, match="must begin with https") as refused:
        read_url(endpoint.urls[0], schemes=endpoint.schemes, environ={})
    assert "T0K3N" not in str(refused.value)


def test_check_tells_what_is_wrong_from_what_it_may_not_see(folder: Folder) -> None:
    config = folder.load(FILES + CREDENTIALS.replace("ops", "two"))
    folder.write("not a secret", "ops.secret")
    report = check_secrets(config, environ={})
    assert [str(error).replace(f"{folder.path}/", "") for error in report.wrong] == [
        "watcher.toml:5: endpoints[0].url_file: ops.url: No such file or directory",
        (
            'watcher.toml:6: endpoints[0].secret_file: a signing secret begins with "whsec_" '
            "(make one with `watcher secret`)"
        ),
    ]
    assert [error.key for error in report.not_checked] == [
        "endpoints[1].url_credential",
        "endpoints[1].secret_credential",
    ]
    assert all(error.text.startswith("not checked: ") for error in report.not_checked)


def test_a_name_that_no_file_can_have_is_a_problem_like_another(folder: Folder) -> None:
    config = folder.load(FILES.replace("ops.secret", "a\\u0000b"))
    folder.write("https://hooks.example/T0K3N", "ops.url")
    (wrong,) = check_secrets(config, environ={}).wrong
    assert (wrong.key, wrong.line) == ("endpoints[0].secret_file", 6)
    assert wrong.text == "its name holds the character NUL, which no name of a file can"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_this_user_may_not_read_is_not_checked(folder: Folder) -> None:
    endpoint = _endpoint(folder, FILES)
    folder.write(GOOD, "ops.secret").chmod(0)
    assert endpoint.secret is not None
    with pytest.raises(SecretNotReadable, match="may not be read by this user"):
        read_secret(endpoint.secret, environ={})
