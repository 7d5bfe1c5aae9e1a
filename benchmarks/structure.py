"""The size and shape of the source: `python -m benchmarks.structure`.

Counts, not timings: lines, modules, import cycles, function lengths, docstrings that break the
rule, and the source files that one call enters from the wire to the disk and back.
"""

from __future__ import annotations

import ast
import os
import re
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import living_reports
from benchmarks.harness.wire import Wire
from living_reports.library import Library
from living_reports.library.requests import CreateReport
from living_reports.model.event import Author

SOURCE = Path(living_reports.__file__).parent
PACKAGE = SOURCE.name
RIDDLE = re.compile(r"(What|Whose|Whom|Who|Where|Nobody|Told)\b")
"""First words that a docstring may not have."""
_WAIT_S = 30.0

Json = dict[str, Any]


def modules() -> dict[str, ast.Module]:
    """Every source file, parsed, by its path below the package."""
    return {
        path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(SOURCE.rglob("*.py"))
    }


def line_count() -> int:
    """The number of lines of all source files."""
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCE.rglob("*.py"))


def function_lengths(trees: dict[str, ast.Module]) -> list[int]:
    """The number of lines of every function, sorted."""
    return sorted(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def riddles(trees: dict[str, ast.Module]) -> Iterator[str]:
    """The docstrings that open with a word of `RIDDLE`: the file and the first line."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, kinds) and RIDDLE.match(text := ast.get_docstring(node) or ""):
                yield f"{path}: {text.splitlines()[0]}"


def import_graph(trees: dict[str, ast.Module]) -> dict[str, set[str]]:
    """The modules that each module imports, late and type-only imports included."""
    names = {path.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for path in trees}
    graph: dict[str, set[str]] = {}
    for path, tree in trees.items():
        name = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        targets = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
                origin = (node.module or "").removeprefix(f"{PACKAGE}.")
                below = {f"{origin}.{alias.name}" for alias in node.names}
                targets |= below & names or {origin}
            elif isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
                targets |= {alias.name for alias in node.names} & names
        graph[name] = (targets & names) - {name}
    return graph


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import each other (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in sorted(graph[name]):
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return found


def entered(name: str, arguments: Json, root: Path) -> list[str]:
    """The source files that a warm call over stdio enters, from the wire to the disk and back."""
    target = root.parent / f"entered-{name}.txt"
    target.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.harness.entered", "serve", "--root", str(root)]
    with Wire(command, environ={"ENTERED": str(target)}) as wire:
        wire.call(name, arguments)
        os.kill(wire.process.pid, signal.SIGUSR1)
        wire.call(name, arguments)
        os.kill(wire.process.pid, signal.SIGUSR2)
        deadline = time.monotonic() + _WAIT_S
        while not target.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
    return target.read_text(encoding="utf-8").splitlines()


def calls(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """An update and a read of one report, with the files that each enters."""
    root = folder / "reports"
    made = Library(root).create_report(
        CreateReport("Health", [{"title": "Errors", "content": "12 %"}]), author=Author("cli", "structure")
    )
    report = made["report_id"]
    change = {"op": "append_text", "section": "Errors", "text": "Checked."}
    yield "update_report", entered("update_report", {"report": report, "changes": [change]}, root)
    yield "get_report", entered("get_report", {"report": report}, root)


def main() -> int:
    """Print every count; with `--files` also the files that each call enters."""
    trees = modules()
    lengths = function_lengths(trees)
    broken = list(riddles(trees))
    groups = cycles(import_graph(trees))
    print(f"source lines        {line_count():,}")
    print(f"modules             {len(trees)}")
    print(f"import cycles       {len(groups)}", *(f"\n    {' '.join(group)}" for group in groups))
    print(
        f"function lines      median {statistics.median(lengths):.0f}, p90 {lengths[len(lengths) * 9 // 10]}"
    )
    print(
        f"docstring openings  {len(broken)}", *(f"\n    {line}" for line in broken if "--files" in sys.argv)
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, files in calls(Path(folder)):
            print(f"files of {name:<14} {len(files)}")
            if "--files" in sys.argv:
                print(*(f"    {file}" for file in files), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
