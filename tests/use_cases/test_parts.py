"""What an instance is made of: built once, whoever asks for it at the same time."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Final

from token_refresh.instance.part import part
from token_refresh.wiring import Parts

REQUESTS: Final = 8


class Instance:
    """One whose runner takes its time: it is there when all have asked."""

    def __init__(self) -> None:
        self.asked = threading.Barrier(REQUESTS)
        self.built: list[object] = []
        self.was_collecting = True

    @part
    def store(self) -> object:
        self.built.append("store")
        return object()

    @part
    def runner(self) -> tuple[object, object]:
        self.was_collecting = gc.isenabled()
        self.built.append("runner")
        threading.Event().wait(0.1)  # the others are at the door
        return object(), self.store


def test_eight_requests_at_once_have_one_runner() -> None:
    instance = Instance()

    def ask(_: int) -> tuple[object, object]:
        instance.asked.wait(10)
        return instance.runner

    with ThreadPoolExecutor(REQUESTS) as pool:
        runners = set(pool.map(ask, range(REQUESTS)))
    assert len(runners) == 1
    assert instance.built == ["runner", "store"]


def test_garbage_is_collected_again_when_a_part_is_there() -> None:
    instance = Instance()
    assert instance.runner == instance.runner
    assert not instance.was_collecting
    assert gc.isenabled()


def test_every_part_of_the_instance_is_one() -> None:
    lazy = [name for name, it in vars(Parts).items() if isinstance(it, cached_property)]
    assert "runner" in lazy
    assert [name for name in lazy if not isinstance(vars(Parts)[name], part)] == []
