"""A token endpoint that costs nothing but its delay: `python -m tests.bench.token_endpoint SECONDS`.

A client whose id starts with `brief` gets access tokens of one second, one that ends in `rotating` a new refresh token.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
from contextlib import suppress
from urllib.parse import parse_qs

NUMBERS = itertools.count(1)


def answer(body: bytes) -> bytes:
    """Issue tokens for a refresh request."""
    (client_id,) = parse_qs(body.decode())["client_id"]
    number = next(NUMBERS)
    reply = {"access_token": f"access-{number}", "token_type": "Bearer", "expires_in": 3600}
    if client_id.startswith("brief"):
        reply["expires_in"] = 1
    if client_id.endswith("rotating"):
        reply["refresh_token"] = f"refresh-{number}"
    payload = json.dumps(reply).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
    return head.encode() + payload


async def main(delay: float) -> None:
    """Serve until stopped; the first line of the output is the URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                await asyncio.sleep(delay)
                writer.write(answer(body))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=512)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/token", flush=True)  # noqa: T201 - the bench reads it
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(float(sys.argv[1])))
