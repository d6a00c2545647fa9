"""Two instances at one server with true books, for the tests of what must never be lost."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.fakes.simulated_instance import Instance
from tests.worlds.true_books import BooksScene


@pytest.fixture
def scene() -> Iterator[BooksScene]:
    logging.disable(logging.CRITICAL)
    yield BooksScene()
    logging.disable(logging.NOTSET)


@pytest.fixture
def one(scene: BooksScene) -> Instance:
    return Instance(scene)


@pytest.fixture
def other(scene: BooksScene) -> Instance:
    return Instance(scene)
