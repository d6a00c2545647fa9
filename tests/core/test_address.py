"""An owner's address: exactly one, as it stands on the wire, or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from token_refresh.core.incident.address import parse_address


@pytest.mark.parametrize(
    "address",
    [
        "alice@example.com",
        "Alice.Smith@example.co.uk",
        "alice+mail@example.com",
        "o'brien@example.com",
        "a_b-c=d/e&f#g$h*i^j`k{l|m}n~o?@example.com",
        "x@1.example.museum",
        f"{'a' * 64}@example.com",
        "alice@xn--exmple-cua.de",
    ],
)
def test_one_address_stays_as_it_is(address: str) -> None:
    assert parse_address(address) == address


@pytest.mark.parametrize(
    ("address", "wire"),
    [
        ("info@exämple.de", "info@xn--exmple-cua.de"),
        ("info@ΕΛΛΑΔΑ.example", "info@xn--mxaaic4aa.example"),
    ],
)
def test_an_international_domain_is_written_in_ascii(address: str, wire: str) -> None:
    assert parse_address(address) == wire


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "octocat",
        "12345",
        "CORP\\alice",
        "@example.com",
        "alice@",
        "alice@localhost",
        "alice@127.0.0.1",
        "alice@[127.0.0.1]",
        "alice@example..com",
        "alice@-example.com",
        "alice@example.com.",
        ".alice@example.com",
        "alice.@example.com",
        "al..ice@example.com",
        "alice@example.com, mallory@evil.example",
        "alice@example.com,mallory@evil.example",
        "alice@example.com;mallory@evil.example",
        "alice@example.com mallory@evil.example",
        "alice@example.com\r\nmallory@evil.example",
        "alice@example.com\n",
        " alice@example.com",
        "Bob <mallory@evil.example>",
        "<mallory@evil.example>",
        "alice@x.example&cc=m@y.example",
        "alice@example.com#m@y.example",
        '"alice mallory"@example.com',
        "alice(mallory)@example.com",
        "mallory%evil.example@example.com",
        "evil.example!mallory@example.com",
        "alice@@example.com",
        "jürgen@exämple.de",
        "info@straße.de",
        "info@ex..ämple.de",
        f"info@{'ä' * 64}.de",
        "info@exa\u00admple.de",
        "alice@example.com\u3002evil.example",
        f"{'a' * 65}@example.com",
        f"a@{'b' * 64}.example",
        f"a@{'.'.join(['b' * 60] * 5)}",
        "alice\x00@example.com",
    ],
)
def test_anything_else_is_no_address(text: str) -> None:
    assert parse_address(text) is None


@given(st.text(alphabet="ab@.,;:<>()[]\"'\\ %!&+=/?#\n\r\t\u00e4\u00df\u3002*", max_size=24) | st.text(max_size=24))
def test_what_passes_holds_one_at_sign_and_nothing_that_separates(text: str) -> None:
    address = parse_address(text)
    if address is not None:
        assert address.isascii()
        assert address.count("@") == 1
        assert not set(address) & set(' ,;:<>()[]"\\%!\r\n\t')
        assert address.partition("@")[0] == text.rpartition("@")[0]
