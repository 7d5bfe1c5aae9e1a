"""`python -m benchmarks`: run all benchmarks, or the named ones.

Exit codes: 0 if every bound is met, else 1.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from benchmarks import REGISTRY
from benchmarks.harness.rows import Bench, Result, Row
from benchmarks.harness.show import (
    as_json,
    as_markdown,
    describe_machine,
    machine_line,
    show_summary,
    show_table,
)
from living_reports.cli.terminal import Terminal, progress_indicator


def load(name: str) -> ModuleType:
    return importlib.import_module(f"benchmarks.{name}")


def title(module: ModuleType) -> str:
    """Return the title of a benchmark: the first line of its docstring."""
    return (module.__doc__ or "").splitlines()[0]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=title(load("__init__")))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(REGISTRY)}; all if none")
    parser.add_argument("--rounds", type=int, default=0, help="samples per figure (default: per benchmark)")
    parser.add_argument("--quick", action="store_true", help="a small scale, to check that they run")
    parser.add_argument("--folder", help="a folder on the disk to measure (default: temporary files)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print every sample as JSON")
    how.add_argument("--markdown", action="store_true", help="print the tables of docs/performance.md")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(REGISTRY):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(REGISTRY)}")
    return options


def run(name: str, bench: Bench) -> list[Result]:
    """Run one benchmark and return its results."""
    with progress_indicator(name) as say:
        results: list[Result] = []
        for result in load(name).run(bench):
            results.append(result)
            say(f"{name}: {result.what}")
    return results


def main() -> int:
    """Run the benchmarks, print the results, and return the exit code."""
    options = parse()
    terminal = Terminal(sys.stdout)
    groups: dict[str, list[Result]] = {}
    with tempfile.TemporaryDirectory(prefix="living-reports-bench-", dir=options.folder) as folder:
        machine = describe_machine(Path(folder))
        if not options.json:
            terminal.line(machine_line(machine), "dim")
        bench = Bench(Path(folder), options.rounds, options.quick)
        for name in [known for known in REGISTRY if known in (options.names or REGISTRY)]:
            groups[name] = run(name, bench)
            if options.markdown:
                print("\n" + as_markdown(name, title(load(name)), groups[name]), end="", flush=True)
            elif not options.json:
                show_table(terminal, name, title(load(name)), groups[name])
                sys.stdout.flush()
    if options.json:
        print(json.dumps(as_json(groups, machine), indent=2))
    elif not options.markdown:
        show_summary(terminal, groups)
    rows = [result for results in groups.values() for result in results if isinstance(result, Row)]
    return 1 if any(row.is_met is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
