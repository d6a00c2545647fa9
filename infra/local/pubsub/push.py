"""One push delivery as Pub/Sub makes it: wrapped in JSON, or bare with its metadata in headers."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import requests
from google.pubsub_v1 import types

# https://cloud.google.com/pubsub/docs/push#receive_push
ACKNOWLEDGED = {102, 200, 201, 202, 204}


@dataclass
class Delivery:
    """A message on its way to one subscription."""

    message: types.PubsubMessage
    attempt: int = 0


def push(delivery: Delivery, subscription: types.Subscription) -> bool:
    """POST the message to the subscription's endpoint; tell whether it was acknowledged."""
    config = subscription.push_config
    bare = "no_wrapper" in config
    try:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(
                config.push_endpoint,
                timeout=subscription.ack_deadline_seconds,
                allow_redirects=False,
                **(_bare(delivery, subscription) if bare else {"json": _wrapped(delivery, subscription)}),
            )
    except requests.RequestException:
        return False
    return answer.status_code in ACKNOWLEDGED


def _wrapped(delivery: Delivery, subscription: types.Subscription) -> dict[str, Any]:
    message = delivery.message
    published = message.publish_time.isoformat()
    body: dict[str, Any] = {
        "message": {
            "attributes": dict(message.attributes),
            "messageId": message.message_id,
            "message_id": message.message_id,
            "publishTime": published,
            "publish_time": published,
        },
        "subscription": subscription.name,
    }
    # The service leaves empty fields out; a function of the framework's event kind refuses such a message.
    if message.data:
        body["message"]["data"] = base64.b64encode(message.data).decode()
    if message.ordering_key:
        body["message"]["orderingKey"] = message.ordering_key
    if subscription.dead_letter_policy:
        body["deliveryAttempt"] = delivery.attempt
    return body


def _bare(delivery: Delivery, subscription: types.Subscription) -> dict[str, Any]:
    message = delivery.message
    headers: dict[str, str] = {}
    if subscription.push_config.no_wrapper.write_metadata:
        headers = {
            "x-goog-pubsub-subscription-name": subscription.name,
            "x-goog-pubsub-message-id": message.message_id,
            "x-goog-pubsub-publish-time": message.publish_time.isoformat(),
            **message.attributes,
        }
    return {"data": message.data, "headers": headers}
