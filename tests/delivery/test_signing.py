"""Signatures are those of the Standard Webhooks specification."""

from __future__ import annotations

import base64
import json
import time

import pytest
from standardwebhooks import Webhook

from tests.delivery.rig import OLD_SECRET, SECRET
from watcher.delivery.signing import Signer, new_secret, secret_bytes


def test_the_published_vector_is_reproduced() -> None:
    # standard-webhooks/standard-webhooks, libraries/*/tests ("sign function works"); MIT
    headers = Signer("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330.7, '{"test": 2432232314}'
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_while_rotating_the_new_signature_comes_first_and_both_are_there() -> None:
    both = Signer(SECRET, OLD_SECRET).headers("evt_1", 1614265330, "{}")["webhook-signature"].split(" ")
    new = Signer(SECRET).headers("evt_1", 1614265330, "{}")["webhook-signature"]
    old = Signer(OLD_SECRET).headers("evt_1", 1614265330, "{}")["webhook-signature"]
    assert both == [new, old]


def test_a_fresh_secret_is_random_and_usable() -> None:
    first, second = new_secret(), new_secret()
    assert first != second
    assert len(secret_bytes(first)) == 32
    assert (
        new_secret(lambda count: bytes(range(count)))
        == "whsec_" + base64.b64encode(bytes(range(32))).decode()
    )
    Signer(first)


def test_what_is_no_secret_is_refused_without_being_quoted() -> None:
    for wrong in (
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_",
        "whsec_c2hvcnQ=",
        "whsec_not*base64*not*base64*not*base64",
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSé",
    ):
        with pytest.raises(ValueError, match="signing secret") as caught:
            Signer(wrong)
        assert len(wrong) <= len("whsec_") or wrong not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_unicode_bodies_are_signed_as_their_bytes() -> None:
    body = json.dumps({"label": "caja ₿"}, ensure_ascii=False)
    headers = Signer(SECRET).headers("evt_1", time.time(), body)
    Webhook(SECRET).verify(body.encode(), headers)
