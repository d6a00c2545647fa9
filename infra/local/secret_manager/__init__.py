"""Secret Manager v1 on a laptop: gRPC and REST on loopback, state in memory, faults on order."""

from __future__ import annotations

from infra.local.secret_manager.faults import Fault, Faults
from infra.local.secret_manager.server import Call, SecretManagerServer

__all__ = ["Call", "Fault", "Faults", "SecretManagerServer"]
