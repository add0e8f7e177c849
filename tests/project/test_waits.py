"""No test waits forever: whatever may never happen is waited for with a deadline."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
RUN = {"run", "call", "check_call", "check_output"}  # of subprocess
WAIT = {"join", "wait", "get", "result"}  # of threads, processes, events, queues and futures


def unbounded(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each call that may wait without end.

    A call of one of WAIT counts when it is given nothing at all: a string's ``join`` and a dict's ``get`` always are
    given something. The end of a ``with Popen`` waits for the child, and the end of Python for each thread that is no
    daemon.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.With):
            for text in (ast.unparse(item.context_expr) for item in node.items):
                if text.startswith("subprocess.Popen("):
                    yield node.lineno, "with subprocess.Popen"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and waits(node, node.func):
            yield node.lineno, ast.unparse(node.func)


def waits(call: ast.Call, function: ast.Attribute) -> bool:
    named = {keyword.arg for keyword in call.keywords}  # None stands for **options
    if ast.unparse(function.value) == "subprocess" and function.attr in RUN:
        return not named & {"timeout", None}
    if function.attr == "communicate":
        return "timeout" not in named
    if function.attr == "Thread":
        return "daemon" not in named
    return function.attr in WAIT and not call.args and not call.keywords


def test_the_search_finds_what_it_should() -> None:
    waits = """
subprocess.run(["a"], check=True)
subprocess.check_output(["a"])
child.communicate(b"q")
thread.join()
child.wait()
queue.get()
future.result()
threading.Thread(target=work)
with subprocess.Popen(["a"]) as child:
    pass
"""
    assert sorted(line for line, _ in unbounded(waits)) == [2, 3, 4, 5, 6, 7, 8, 9, 10]
    bounded = """
subprocess.run(["a"], timeout=5)
subprocess.run(["a"], **options)
child.communicate(timeout=5)
thread.join(5)
child.wait(timeout=5)
", ".join(words)
{}.get("a")
threading.Thread(target=work, daemon=True)
with running(subprocess.Popen(["a"])) as child:
    pass
"""
    assert list(unbounded(bounded)) == []


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: str(path.relative_to(TESTS)))
def test_every_wait_has_a_deadline(path: Path) -> None:
    found = [
        f"{path.name}:{line}: {call} waits without a deadline" for line, call in unbounded(path.read_text())
    ]
    assert not found, "\n".join(found)
