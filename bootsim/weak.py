"""Callbacks that do not keep their object alive."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast
from weakref import WeakMethod

T = TypeVar("T")


def weakly(method: Callable[..., T], default: T | None = None) -> Callable[..., T]:
    """`method`, without keeping its object alive; gives `default` once that is gone."""
    reference = WeakMethod(method)

    def call(*arguments: object) -> T:
        bound = reference()
        return cast(T, default) if bound is None else bound(*arguments)

    return call
