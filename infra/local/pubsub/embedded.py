"""A small Pub/Sub for machines without Google's emulator: topics, pull, push with retry, ordering and dead letters.

Which RPCs there are, and their messages, comes from the installed client's own tables; one that is not written here
answers UNIMPLEMENTED. State lives in memory.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self, TypeVar, get_args, get_type_hints

import grpc
from google.api_core.exceptions import AlreadyExists, GoogleAPICallError, NotFound
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import types
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from infra.local.pubsub.push import Delivery, push

SERVICES = {
    "google.pubsub.v1.Publisher": PublisherGrpcTransport,
    "google.pubsub.v1.Subscriber": SubscriberGrpcTransport,
}
PULL_SECONDS = 2.0
PUSHES_AT_ONCE = 16
Thing = TypeVar("Thing")


@dataclass
class _Subscription:
    spec: types.Subscription
    waiting: deque[Delivery] = field(default_factory=deque)
    leased: dict[str, tuple[float, Delivery]] = field(default_factory=dict)

    def return_expired(self, now: float) -> None:
        for ack_id in [ack_id for ack_id, (until, _) in self.leased.items() if until <= now]:
            self.waiting.appendleft(self.leased.pop(ack_id)[1])


class EmbeddedPubSub:
    """Serve Publisher and Subscriber over gRPC on a free loopback port; a context manager."""

    def __init__(self) -> None:
        self.address = ""
        self._topics: dict[str, types.Topic] = {}
        self._subscriptions: dict[str, _Subscription] = {}
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._numbers = 0
        # Deliveries to push subscriptions, in lanes: one ordering key is one lane, worked by one thread.
        self._lanes: dict[tuple[str, str], deque[Delivery]] = defaultdict(deque)
        self._push_slots = threading.BoundedSemaphore(PUSHES_AT_ONCE)
        self._server: grpc.Server | None = None

    def __enter__(self) -> Self:
        # A pull waits inside its thread.
        self._server = server = grpc.server(ThreadPoolExecutor(32))
        for service, transport in SERVICES.items():
            handlers = _method_handlers(self, transport)
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.address = f"127.0.0.1:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        if self._server is not None:
            self._server.stop(grace=0.2).wait()

    def create_topic(self, topic: types.Topic) -> types.Topic:
        """Create a topic; AlreadyExists when there is one of that name."""
        with self._changed:
            if topic.name in self._topics:
                raise AlreadyExists(topic.name)  # type: ignore[no-untyped-call]
            self._topics[topic.name] = topic
        return topic

    def delete_topic(self, request: types.DeleteTopicRequest) -> Empty:
        """Delete a topic; its subscriptions stay and get nothing more."""
        with self._changed:
            _found(self._topics, request.topic)
            del self._topics[request.topic]
        return Empty()

    def publish(self, request: types.PublishRequest) -> types.PublishResponse:
        """Hand every message to every subscription of the topic."""
        with self._changed:
            _found(self._topics, request.topic)
            for message in request.messages:
                self._numbers += 1
                message.message_id = str(self._numbers)
                message.publish_time = datetime.now(UTC)
                for subscription in self._subscriptions.values():
                    if subscription.spec.topic == request.topic:
                        self._hand_over(subscription, message)
            self._changed.notify_all()
        return types.PublishResponse(message_ids=[message.message_id for message in request.messages])

    def create_subscription(self, subscription: types.Subscription) -> types.Subscription:
        """Create a subscription to an existing topic."""
        with self._changed:
            if subscription.name in self._subscriptions:
                raise AlreadyExists(subscription.name)  # type: ignore[no-untyped-call]
            _found(self._topics, subscription.topic)
            subscription.ack_deadline_seconds = subscription.ack_deadline_seconds or 10
            self._subscriptions[subscription.name] = _Subscription(subscription)
        return subscription

    def pull(self, request: types.PullRequest) -> types.PullResponse:
        """Lease up to `max_messages`, waiting up to 2 s for the first."""
        end = time.monotonic() + (0 if request.return_immediately else PULL_SECONDS)
        with self._changed:
            while True:
                subscription = _found(self._subscriptions, request.subscription)
                subscription.return_expired(time.monotonic())
                left = end - time.monotonic()
                if subscription.waiting or left <= 0:
                    break
                self._changed.wait(min(left, 0.1))
            return types.PullResponse(received_messages=list(self._lease(subscription, request.max_messages)))

    def acknowledge(self, request: types.AcknowledgeRequest) -> Empty:
        """Forget messages; an unknown or expired ack id is ignored."""
        with self._changed:
            subscription = _found(self._subscriptions, request.subscription)
            for ack_id in request.ack_ids:
                subscription.leased.pop(ack_id, None)
        return Empty()

    def _lease(self, subscription: _Subscription, most: int) -> Iterator[types.ReceivedMessage]:
        until = time.monotonic() + subscription.spec.ack_deadline_seconds
        for _ in range(min(most, len(subscription.waiting))):
            delivery = subscription.waiting.popleft()
            delivery.attempt += 1
            self._numbers += 1
            ack_id = f"{subscription.spec.name}:{self._numbers}"
            subscription.leased[ack_id] = until, delivery
            counted = delivery.attempt if subscription.spec.dead_letter_policy else 0
            yield types.ReceivedMessage(ack_id=ack_id, message=delivery.message, delivery_attempt=counted)

    def _hand_over(self, subscription: _Subscription, message: types.PubsubMessage) -> None:
        delivery = Delivery(message)
        if not subscription.spec.push_config.push_endpoint:
            subscription.waiting.append(delivery)
            return
        ordered = subscription.spec.enable_message_ordering and message.ordering_key
        lane = (subscription.spec.name, message.ordering_key if ordered else f"message {message.message_id}")
        self._lanes[lane].append(delivery)
        if len(self._lanes[lane]) == 1:
            threading.Thread(target=self._work, args=(lane, subscription.spec), daemon=True).start()

    def _work(self, lane: tuple[str, str], spec: types.Subscription) -> None:
        while True:
            delivery = self._lanes[lane][0]
            delivered = self._deliver(delivery, spec)
            if self._stopped.is_set():
                return
            if not delivered:
                self._bury(delivery, spec)
            with self._changed:
                self._lanes[lane].popleft()
                if not self._lanes[lane]:
                    del self._lanes[lane]
                    return

    def _deliver(self, delivery: Delivery, spec: types.Subscription) -> bool:
        least, most = _backoff(spec)
        while spec.name in self._subscriptions:
            delivery.attempt += 1
            with self._push_slots:
                if push(delivery, spec):
                    return True
            if spec.dead_letter_policy and delivery.attempt >= (spec.dead_letter_policy.max_delivery_attempts or 5):
                return False
            if self._stopped.wait(min(least * 2 ** min(delivery.attempt - 1, 20), most)):
                return False
        return True

    def _bury(self, delivery: Delivery, spec: types.Subscription) -> None:
        attributes = {
            **delivery.message.attributes,
            "CloudPubSubDeadLetterSourceDeliveryCount": str(delivery.attempt),
            "CloudPubSubDeadLetterSourceSubscription": spec.name.rpartition("/")[2],
            "CloudPubSubDeadLetterSourceSubscriptionProject": spec.name.split("/")[1],
        }
        message = types.PubsubMessage(
            data=delivery.message.data, attributes=attributes, ordering_key=delivery.message.ordering_key
        )
        self.publish(types.PublishRequest(topic=spec.dead_letter_policy.dead_letter_topic, messages=[message]))


def _backoff(spec: types.Subscription) -> tuple[float, float]:
    # Google's defaults with a retry policy are 10 s and 600 s; without one it retries at once.
    if not spec.retry_policy:
        return 0.1, 0.1
    least, most = spec.retry_policy.minimum_backoff, spec.retry_policy.maximum_backoff
    return (least.total_seconds() if least else 10.0), (most.total_seconds() if most else 600.0)


def _found(things: dict[str, Thing], name: str) -> Thing:
    if name not in things:
        missing = f"Resource not found (resource={name.rpartition('/')[2]})."
        raise NotFound(missing)  # type: ignore[no-untyped-call]
    return things[name]


def _method_handlers(implementation: object, transport: type) -> dict[str, Any]:
    """Read the RPCs off the generated transport: a property each, annotated with the request's type."""
    handlers = {}
    for name, accessor in vars(transport).items():
        method = getattr(implementation, name, None)
        if isinstance(accessor, property) and method is not None:
            (request,), _ = get_args(get_type_hints(accessor.fget)["return"])
            handlers["".join(word.capitalize() for word in name.split("_"))] = grpc.unary_unary_rpc_method_handler(
                _rpc(method), request_deserializer=request.deserialize, response_serializer=_serialize
            )
    return handlers


def _rpc(method: Callable[[Any], Any]) -> Callable[[Any, grpc.ServicerContext], Any]:
    def serve(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(request)
        except GoogleAPICallError as exc:
            return context.abort(exc.grpc_status_code, exc.message)

    return serve


def _serialize(message: Any) -> bytes:
    serialized: bytes = message.SerializeToString() if isinstance(message, Empty) else type(message).serialize(message)
    return serialized
