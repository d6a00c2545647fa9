"""Run a Python example as it stands, with Google's hosts on this machine: `as_in_the_cloud.py EXAMPLE [ARGUMENT...]`.

`HOSTS` maps https hosts to loopback URLs: `{"gmail.googleapis.com": "http://127.0.0.1:1234"}`. The libraries are the
real ones; only where a host's name leads is changed, and Secret Manager is called over REST, which has no TLS here.
"""

from __future__ import annotations

import functools
import json
import os
import runpy
import sys
import warnings
from typing import Any
from urllib.parse import urlsplit

import httplib2  # type: ignore[import-untyped]
import requests
from google.cloud import secretmanager

HOSTS: dict[str, str] = json.loads(os.environ["HOSTS"])


def here(url: str) -> str:
    parts = urlsplit(url)
    base = HOSTS.get(parts.hostname or "")
    return base + url.partition(parts.netloc)[2] if base else url


def patch() -> None:
    send, request = requests.adapters.HTTPAdapter.send, httplib2.Http.request

    def send_here(self: Any, prepared: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        prepared.url = here(str(prepared.url))
        return send(self, prepared, *args, **{**kwargs, "proxies": {}})

    def request_here(self: Any, uri: str, *args: Any, **kwargs: Any) -> Any:
        return request(self, here(uri), *args, **kwargs)

    requests.adapters.HTTPAdapter.send = send_here  # type: ignore[assignment, method-assign]
    httplib2.Http.request = request_here
    rest = functools.partial(secretmanager.SecretManagerServiceClient, transport="rest")
    secretmanager.SecretManagerServiceClient = rest  # type: ignore[misc, assignment]


if __name__ == "__main__":
    patch()
    warnings.filterwarnings("error", category=DeprecationWarning, module="__main__")
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
