"""The table of rules: operator -> the function that carries it over to the streaming graph."""

from __future__ import annotations

from collections.abc import Callable

from export.streaming.context import Context
from export.streaming.node import Node

Rule = Callable[[Context, Node], None]
RULES: dict[str, Rule] = {}


def rule(*ops: str) -> Callable[[Rule], Rule]:
    """Register a function for these operators."""

    def register(function: Rule) -> Rule:
        for op in ops:
            if op in RULES:
                raise ValueError(f"two rules for {op}")
            RULES[op] = function
        return function

    return register
