"""The shape of the house: who may import whom, who may write, and how long things may be.

The source is read, not run. Each rule is a function from one module to what breaks it, and
each is itself shown to fail on a piece of source that breaks it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest


def words(text: str) -> set[str]:
    return set(text.split())


PACKAGE = "living_reports"
SOURCE = Path(__file__).parents[2] / "src" / PACKAGE

MAX_FUNCTION_LINES = 70
MAX_FILE_LINES = 600

KNOWS = {
    "errors": "",
    "settings": "errors",
    "model": "errors",
    "changes": "errors model",
    "store": "errors model",
    "reading": "errors model changes store",
    "render": "errors model reading",
    "library": "errors model changes store reading render",
    "interchange": "errors model changes store reading library",
    "server": "errors settings model changes library",
    "install": "errors",
    "cli": "errors settings model library interchange server install",
    "storage": "errors store",
    "__main__": "cli",
    "__init__": "",
}
"""What each package may import from the others (itself and the version aside)."""

PURE = words("errors model changes reading render install.clients install.jsonc install.toml install.plan")
"""What knows no clock, no disk and no random ids: they come in as arguments."""

IMPURE_IMPORTS = words(
    "asyncio anyio glob importlib io locale logging os pathlib platform random secrets shutil signal "
    "socket sqlite3 subprocess sys tempfile threading time"
)
PURE_IMPORTS = words("os.path.commonprefix pathlib.PurePath pathlib.PurePosixPath pathlib.PureWindowsPath")
IMPURE_CALLS = words("open input print now utcnow today uuid1 uuid4 getenv")

THE_WRITER = "store.files.durable"
"""The only module that writes, renames, links, unlinks, truncates or syncs."""

WRITING_IN_OS = words(
    "chmod chown copy_file_range fchmod fdatasync fdopen fsync ftruncate lchmod link makedirs mkdir mkfifo "
    "mknod posix_fallocate pwrite pwritev remove removedirs rename renames replace rmdir sendfile symlink "
    "sync truncate unlink utime write writev"
)
HARMLESS_IN_SHUTIL = words("disk_usage get_terminal_size which")
WRITING_METHODS = words(
    "chmod hardlink_to mkdir rename rmdir symlink_to touch truncate unlink write_bytes write_text"
)
WRITING_FLAGS = words("O_APPEND O_CREAT O_RDWR O_TRUNC O_WRONLY")

LAST_RESORT = "server"
"""The one place where a defect of our own becomes an answer (`internal`): it may catch everything, once."""


@cache
def parse(source: str) -> ast.Module:
    return ast.parse(source)


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name below the package, and what stands in it."""

    name: str
    source: str
    is_package: bool = False

    @property
    def tree(self) -> ast.Module:
        return parse(self.source)

    @property
    def house(self) -> str:
        """The module or package of the house that it belongs to."""
        return self.name.split(".")[0]


Rule = Callable[[Module], Iterator[str]]


def read_modules() -> list[Module]:
    modules = []
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        is_package = parts[-1] == "__init__" and len(parts) > 1
        name = ".".join(parts[:-1] if is_package else parts)
        modules.append(Module(name, path.read_text(encoding="utf-8"), is_package))
    return modules


MODULES = read_modules()
NAMES = {module.name for module in MODULES}


# --- Reading source ----------------------------------------------------------------------


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """Every module that is imported, late imports included: the line and the absolute name.

    A text that is the name of one of our modules counts: it is there to be imported.
    """
    base = [PACKAGE, *module.name.split(".")]
    package = base if module.is_package else base[:-1]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Constant) and re.fullmatch(rf"{PACKAGE}(\.\w+)+", str(node.value)):
            yield node.lineno, str(node.value)


def own_imports(module: Module) -> Iterator[tuple[int, str]]:
    """The imports from this package, by the dotted name below it (`errors.ReportError`)."""
    for line, name in imports(module):
        if name.startswith(f"{PACKAGE}.") and name != f"{PACKAGE}.__version__":
            yield line, name.removeprefix(f"{PACKAGE}.")


def calls(module: Module) -> Iterator[tuple[ast.Call, str, str]]:
    """Every call: the node, the name called, and what it is called on.

    What it is called on is the imported module where that is what it is (`import os as o` and
    `from os import replace` both give `os`), the package for one of ours, `""` for a plain name,
    and `"?"` for anything else.
    """
    aliases: dict[str, str] = {}
    members: dict[str, tuple[str, str]] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            aliases |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            members |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name):
            origin, name = members.get(node.func.id, ("", node.func.id))
            yield node, name, origin
        elif isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            ours = ".".join(members.get(owner, ())).startswith(f"{PACKAGE}.")
            yield node, node.func.attr, PACKAGE if ours else aliases.get(owner, "?")


def opens_for_writing(call: ast.Call, position: int) -> bool:
    """Whether an `open` may write: its mode says so, or is not a literal that can be read here."""
    modes = [word.value for word in call.keywords if word.arg == "mode"]
    modes += call.args[position : position + 1]
    return any(not isinstance(mode, ast.Constant) or set("wax+") & set(str(mode.value)) for mode in modes)


def catches_everything(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(ast.unparse(kind).split(".")[-1] in ("Exception", "BaseException") for kind in caught)


def raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


# --- The rules ---------------------------------------------------------------------------


def imports_point_one_way(module: Module) -> Iterator[str]:
    if module.house not in KNOWS:
        yield f"{module.house} has no place in the house yet: say in KNOWS what it may import"
        return
    allowed = {module.house} | words(KNOWS[module.house])
    for line, name in own_imports(module):
        if name.split(".")[0] not in allowed:
            yield f"line {line}: {module.house} may not import {name}"


def only_the_face_knows_mcp(module: Module) -> Iterator[str]:
    if module.house in ("server", "cli", "demo"):
        return
    for line, name in imports(module):
        if name.split(".")[0] in ("mcp", "mcp_types"):
            yield f"line {line}: {module.house} may not import {name}"


def pure_modules_know_no_world(module: Module) -> Iterator[str]:
    if not {module.house, module.name} & PURE:
        return
    for line, name in imports(module):
        if name.split(".")[0] in IMPURE_IMPORTS and name not in PURE_IMPORTS:
            yield f"line {line}: imports {name}"
    for call, name, _ in calls(module):
        if name in IMPURE_CALLS:
            yield f"line {call.lineno}: calls {name}()"


def only_one_module_writes(module: Module) -> Iterator[str]:
    if module.name == THE_WRITER:
        return
    for call, name, origin in calls(module):
        if writes(call, name, origin):
            yield f"line {call.lineno}: {ast.unparse(call.func)}() belongs into {THE_WRITER}"


def writes(call: ast.Call, name: str, origin: str) -> bool:
    match origin:
        case "os" if name == "open":
            flags = {
                node.attr
                for arg in call.args[1:]
                for node in ast.walk(arg)
                if isinstance(node, ast.Attribute)
            }
            return bool(flags & WRITING_FLAGS) and ast.unparse(call.args[0]) != "os.devnull"
        case "os":
            return name in WRITING_IN_OS
        case "shutil":
            return name not in HARMLESS_IN_SHUTIL
        case "tempfile" | "fcntl":
            return True
        case "portalocker":
            return name in ("Lock", "RLock", "TemporaryFileLock", "PidFileLock", "open_atomic")
        case "" | "io" | "codecs" | "builtins" if name == "open":
            return opens_for_writing(call, position=1)
        case "?" if name == "open":
            return opens_for_writing(call, position=0)
        case "?" if name == "replace":  # a path's has one argument, a text's two, a date's keywords
            return len(call.args) == 1 and not call.keywords
        case "?":
            return name in WRITING_METHODS
    return False


def functions_fit_one_screen(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield f"line {node.lineno}: {node.name} has {lines} lines"


def files_stay_short(module: Module) -> Iterator[str]:
    lines = len(module.source.splitlines())
    if lines > MAX_FILE_LINES:
        yield f"{lines} lines"


def modules_say_what_they_are(module: Module) -> Iterator[str]:
    if not ast.get_docstring(module.tree):
        yield "no docstring"


def nothing_is_swallowed(module: Module) -> Iterator[str]:
    allowed = 1 if module.house == LAST_RESORT else 0
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler) and catches_everything(node) and not raises_again(node):
            allowed -= 1
            if allowed < 0:
                yield f"line {node.lineno}: catches everything and does not raise it again"
    for call, name, _ in calls(module):
        if name == "suppress" and {ast.unparse(arg) for arg in call.args} & {"Exception", "BaseException"}:
            yield f"line {call.lineno}: suppresses everything"


RULES: list[Rule] = [
    imports_point_one_way,
    only_the_face_knows_mcp,
    pure_modules_know_no_world,
    only_one_module_writes,
    functions_fit_one_screen,
    files_stay_short,
    modules_say_what_they_are,
    nothing_is_swallowed,
]


# --- The house keeps them ----------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps(rule: Rule) -> None:
    findings = [f"{module.name}: {finding}" for module in MODULES for finding in rule(module)]
    assert not findings, "\n".join(findings)


def test_all_modules_were_read() -> None:
    assert {"errors", "models", "delta", "changes", "storage", THE_WRITER} <= NAMES


def test_only_one_handler_in_all_of_the_server_catches_everything() -> None:
    handlers = [
        module.name
        for module in MODULES
        if module.house == LAST_RESORT
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and catches_everything(node) and not raises_again(node)
    ]
    assert len(handlers) <= 1


def find_cycle(graph: dict[str, set[str]]) -> list[str]:
    """A way from a module back to itself, or nothing."""
    done: set[str] = set()

    def follow(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name not in done:
            for target in sorted(graph.get(name, ())):
                if cycle := follow(target, [*way, name]):
                    return cycle
            done.add(name)
        return []

    return next((cycle for name in sorted(graph) if (cycle := follow(name, []))), [])


def imported_module(name: str, names: set[str]) -> str:
    """The module that a name such as `errors.ReportError` comes from."""
    return name if name in names else name.rpartition(".")[0]


def lines_for_annotations(module: Module) -> set[int]:
    """The lines under `if TYPE_CHECKING`, which never run."""
    return {
        line
        for node in ast.walk(module.tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).split(".")[-1] == "TYPE_CHECKING"
        for line in range(node.body[0].lineno, (node.body[-1].end_lineno or 0) + 1)
    }


def run_time_graph(modules: list[Module]) -> dict[str, set[str]]:
    names = {module.name for module in modules}
    graph = {}
    for module in modules:
        idle = lines_for_annotations(module)
        graph[module.name] = {
            imported_module(name, names) for line, name in own_imports(module) if line not in idle
        }
    return graph


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = run_time_graph(MODULES)
    assert not (cycle := find_cycle(graph)), " -> ".join(cycle)


# --- The rules can fail ------------------------------------------------------------------

BREAKS: list[tuple[Rule, str, str]] = [
    (imports_point_one_way, "models", "from living_reports import storage"),
    (imports_point_one_way, "models", "from living_reports.store.files.lock import ReportLock"),
    (imports_point_one_way, "storage.lock", "def f():\n    from living_reports.library import Library"),
    (imports_point_one_way, "storage.lock", "from ..library import Library"),
    (imports_point_one_way, "views", "import living_reports.changes"),
    (imports_point_one_way, "server", "LAZY = 'living_reports.store.files.durable'"),
    (imports_point_one_way, "attic", ""),
    (only_the_face_knows_mcp, "library", "from mcp.server import Server"),
    (pure_modules_know_no_world, "delta", "import time"),
    (pure_modules_know_no_world, "delta", "from os import path"),
    (pure_modules_know_no_world, "check", "from datetime import date\ndate.today()"),
    (pure_modules_know_no_world, "models", "import uuid\nuuid.uuid4()"),
    (pure_modules_know_no_world, "render.markdown", "open('page.md')"),
    (pure_modules_know_no_world, "install.plan", "from pathlib import Path"),
    (only_one_module_writes, "library", "path.write_text('x')"),
    (only_one_module_writes, "library", "path.replace(target)"),
    (only_one_module_writes, "library", "path.open('r+b')"),
    (only_one_module_writes, "library", "path.open(mode=mode)"),
    (only_one_module_writes, "demo", "open('report.md', 'w')"),
    (only_one_module_writes, "cli", "import io\nio.open('report.md', mode='a')"),
    (only_one_module_writes, "storage.lock", "import os\nos.open(path, os.O_RDWR | os.O_CREAT)"),
    (only_one_module_writes, "storage.lock", "import portalocker\nportalocker.Lock(path)"),
    (only_one_module_writes, "storage.audit", "import os as system\nsystem.fsync(fd)"),
    (only_one_module_writes, "storage.audit", "from os import replace as put\nput(a, b)"),
    (only_one_module_writes, "storage.report", "import shutil\nshutil.rmtree(path)"),
    (only_one_module_writes, "cli", "import tempfile\ntempfile.mkdtemp()"),
    (functions_fit_one_screen, "views", "def f():\n" + "    x = 1\n" * MAX_FUNCTION_LINES),
    (functions_fit_one_screen, "views", "class C:\n  async def f():\n" + "    x = 1\n" * MAX_FUNCTION_LINES),
    (files_stay_short, "views", "x = 1\n" * (MAX_FILE_LINES + 1)),
    (modules_say_what_they_are, "views", "import json"),
    (nothing_is_swallowed, "library", "try:\n    f()\nexcept Exception:\n    pass"),
    (
        nothing_is_swallowed,
        "library",
        "try:\n    f()\nexcept (OSError, BaseException) as e:\n    raise E from e",
    ),
    (nothing_is_swallowed, "library", "try:\n    f()\nexcept:\n    pass"),
    (nothing_is_swallowed, "library", "with contextlib.suppress(Exception):\n    f()"),
    (nothing_is_swallowed, "server", "try:\n    f()\nexcept Exception:\n    pass\n" * 2),
]

KEEPS: list[tuple[Rule, str, str]] = [
    (imports_point_one_way, "library", "from living_reports.store.files import ReportLock"),
    (imports_point_one_way, "storage.lock", "from living_reports.store.files import durable"),
    (imports_point_one_way, "storage.lock", "from . import durable"),
    (imports_point_one_way, "storage.lock", "from living_reports import __version__"),
    (only_the_face_knows_mcp, "server", "from mcp.server import Server"),
    (pure_modules_know_no_world, "models", "import uuid\nuuid.UUID('0')"),
    (pure_modules_know_no_world, "check", "from datetime import date\ndate.fromisoformat(day)"),
    (pure_modules_know_no_world, "storage.report", "import time"),
    (pure_modules_know_no_world, "install.clients", "from pathlib import PurePath"),
    (pure_modules_know_no_world, "install.files", "from pathlib import Path"),
    (only_one_module_writes, THE_WRITER, "import os\nos.replace(a, b)"),
    (only_one_module_writes, "library", "text.replace('a', 'b')\nmoment.replace(tzinfo=None)"),
    (
        only_one_module_writes,
        "library",
        "from living_reports.store.files import durable\ndurable.touch(path)",
    ),
    (only_one_module_writes, "library", "path.open('rb')\nopen(path)\npath.read_bytes()"),
    (only_one_module_writes, "cli", "import os\nos.open(os.devnull, os.O_WRONLY)"),
    (only_one_module_writes, "storage.audit", "import os\nos.open(path, os.O_RDONLY)"),
    (functions_fit_one_screen, "views", "def f():\n" + "    x = 1\n" * (MAX_FUNCTION_LINES - 1)),
    (files_stay_short, "views", "x = 1\n" * MAX_FILE_LINES),
    (nothing_is_swallowed, "library", "try:\n    f()\nexcept BaseException:\n    undo()\n    raise"),
    (nothing_is_swallowed, "server", "try:\n    f()\nexcept Exception:\n    answer()"),
]


@pytest.mark.parametrize(("rule", "name", "source"), BREAKS)
def test_a_rule_sees_what_breaks_it(rule: Rule, name: str, source: str) -> None:
    assert list(rule(Module(name, source)))


@pytest.mark.parametrize(("rule", "name", "source"), KEEPS)
def test_a_rule_lets_pass_what_keeps_it(rule: Rule, name: str, source: str) -> None:
    assert list(rule(Module(name, source))) == []


def test_a_cycle_is_found() -> None:
    late = Module("cli.show", "def f():\n    from living_reports.cli.parser import build_parser")
    parser = Module("cli.parser", "import living_reports.cli.show")
    assert find_cycle(run_time_graph([late, parser])) == ["cli.parser", "cli.show", "cli.parser"]


def test_an_import_for_annotations_makes_no_cycle() -> None:
    source = "if TYPE_CHECKING:\n    from living_reports.store.files.report import ReportStorage"
    report = Module("storage.report", "from living_reports.store.files import recovery")
    assert find_cycle(run_time_graph([Module("storage.recovery", source), report])) == []
