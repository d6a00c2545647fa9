"""Secret Manager v1 on a laptop: gRPC and REST on loopback, state in memory, faults on order."""

from .faults import Fault, Faults
from .server import Call, SecretManagerServer

__all__ = ["Call", "Fault", "Faults", "SecretManagerServer"]
