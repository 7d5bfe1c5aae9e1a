"""The structure of the source: which package imports which, which module writes, how long functions are.

The source is read, not run, except to count the files that a call enters. Each rule is a function
from one module to its violations. Examples show that each rule finds a violation and accepts what
is allowed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from benchmarks.structure import RIDDLE
from benchmarks.structure import calls as entered_files


def words(text: str) -> set[str]:
    return set(text.split())


PACKAGE = "living_reports"
SOURCE = Path(__file__).parents[2] / "src" / PACKAGE

MAX_FUNCTION_LINES = 70
MAX_ENTERED_FILES = {"update_report": 22, "get_report": 16}

KNOWS = {
    "errors": "",
    "printable": "",
    "regular_files": "",
    "settings": "errors regular_files",
    "model": "errors",
    "changes": "errors model",
    "store": "errors model regular_files",
    "reading": "errors model changes store",
    "render": "errors model reading",
    "library": "errors model changes store reading render regular_files",
    "interchange": "errors model changes store reading library regular_files",
    "server": "errors settings printable model changes render library",
    "install": "errors regular_files",
    "cli": "errors settings printable model render library interchange server install regular_files",
    "storage": "errors store",
    "__main__": "cli",
    "__init__": "",
}
"""The packages and top-level modules that each may import, apart from itself and the version."""

STORES = "store"
"""The package of the stores. Each of its subpackages is one implementation."""

STORE_PROTOCOL = "store.base"

OPENS_STORES = words("store storage")
"""The modules outside an implementation that may import it: `open_store` and the public names."""

PURE = words("model changes reading render install.clients install.jsonc install.plan install.toml")
"""Packages and modules without clock, disk and random ids: they take these as arguments."""

IMPURE_IMPORTS = words(
    "asyncio anyio glob importlib io locale logging os pathlib platform random secrets shutil signal "
    "socket sqlite3 subprocess sys tempfile threading time"
)
PURE_IMPORTS = words(
    "importlib.resources os.path.commonprefix pathlib.PurePath pathlib.PurePosixPath pathlib.PureWindowsPath"
)
"""Exceptions from `IMPURE_IMPORTS`: computations on texts, and files that belong to the package."""
IMPURE_CALLS = words("open input print now utcnow today uuid1 uuid4 getenv")

WRITER = "store.files.durable"
"""The only module that writes, renames, links, unlinks, truncates or syncs files of a store."""

CONFIGURATION_WRITER = "install"
"""The module that writes the configuration files of clients, which belong to no store."""

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

OPENER = "regular_files"
"""The module that opens every file: opening a FIFO by its name would wait for its other end."""

OPENS_IN_OS = words("O_CREAT O_DIRECTORY devnull _NEW_FILE")
"""Parts of a call of `os.open` that cannot wait: a new file, a folder, the device that takes everything."""
READING_METHODS = words("open read_bytes read_text")

CATCHES_ALL = "server"
"""The package with the one handler of all exceptions, which turns a defect into the error `internal`."""

COMPILES_PATTERNS = {("store.files.search.words", "pattern")}
"""Functions that make a pattern from a caller's text; `test_worst_inputs.py` runs what they make."""

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def parse(source: str) -> ast.Module:
    return ast.parse(source)


@dataclass(frozen=True)
class Module:
    """A source file.

    Attributes:
        name: The dotted name below the package.
    """

    name: str
    source: str
    is_package: bool = False

    @property
    def tree(self) -> ast.Module:
        return parse(self.source)

    @property
    def package(self) -> str:
        """The package or module at the top level that contains this module."""
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


# --- Reading source -----------------------------------------------------------------------


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """The line and the absolute name of every import, wherever in the module it stands.

    A string that is the name of a module of this package counts: it is there to be imported.
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
    """The line and the name below the package (`errors.ReportError`) of every import from this package."""
    for line, name in imports(module):
        if name.startswith(f"{PACKAGE}.") and name != f"{PACKAGE}.__version__":
            yield line, name.removeprefix(f"{PACKAGE}.")


def calls(module: Module) -> Iterator[tuple[ast.Call, str, str]]:
    """The node, the called name and the object of every call.

    The object is the name of the imported module (`os` for both `import os as o` and `from os import
    replace`), the package for a module of this package, `""` for a plain name, and `"?"` for any other.
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
    """Return whether an `open` may write: by its mode, or because the mode is not a literal."""
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


# --- The rules ----------------------------------------------------------------------------


def imports_point_one_way(module: Module) -> Iterator[str]:
    if module.package not in KNOWS:
        yield f"KNOWS does not name {module.package}: add what it may import"
        return
    allowed = {module.package} | words(KNOWS[module.package])
    for line, name in own_imports(module):
        if name.split(".")[0] not in allowed:
            yield f"line {line}: {module.package} may not import {name}"


def stores_are_reached_by_protocol(module: Module) -> Iterator[str]:
    if module.name in OPENS_STORES:
        return
    for line, name in own_imports(module):
        if (store := store_of(name)) and store_of(module.name) != store:
            yield f"line {line}: {name} may be imported only in {store}, {' and '.join(sorted(OPENS_STORES))}"


def store_of(name: str) -> str:
    """Return the implementation of a store that a name belongs to, or nothing."""
    store = ".".join(name.split(".")[:2])
    is_implementation = store.startswith(f"{STORES}.") and store != STORE_PROTOCOL and store in NAMES
    return store if is_implementation else ""


def only_server_and_cli_import_mcp(module: Module) -> Iterator[str]:
    if module.package in ("server", "cli"):
        return
    for line, name in imports(module):
        if name.split(".")[0] in ("mcp", "mcp_types"):
            yield f"line {line}: {module.package} may not import {name}"


def pure_modules_stay_pure(module: Module) -> Iterator[str]:
    if not {module.package, module.name} & PURE:
        return
    for line, name in imports(module):
        if name.split(".")[0] in IMPURE_IMPORTS and name not in PURE_IMPORTS:
            yield f"line {line}: imports {name}"
    for call, name, _ in calls(module):
        if name in IMPURE_CALLS:
            yield f"line {call.lineno}: calls {name}()"


def only_one_module_writes(module: Module) -> Iterator[str]:
    if module.name in (WRITER, CONFIGURATION_WRITER):
        return
    for call, name, origin in calls(module):
        if writes(call, name, origin):
            yield f"line {call.lineno}: {ast.unparse(call.func)}() may be called only in {WRITER}"


def writes(call: ast.Call, name: str, origin: str) -> bool:
    match origin:
        case _ if (origin, name) == ("os", "open") or name == "open_regular":
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


def only_one_module_opens(module: Module) -> Iterator[str]:
    if module.name == OPENER:
        return
    for call, name, origin in calls(module):
        if opens_by_name(call, name, origin):
            yield f"line {call.lineno}: {ast.unparse(call)} may wait for a FIFO: use {OPENER}"


def opens_by_name(call: ast.Call, name: str, origin: str) -> bool:
    text = ast.unparse(call)
    match origin:
        case "os" if name == "open":
            return not any(part in text for part in OPENS_IN_OS)
        case "" | "io" | "codecs" | "builtins" if name in ("open", "FileIO"):
            return ast.unparse(call.args[0]) != "descriptor"
        case "?" if name in READING_METHODS:
            return not ("resources.files(" in text or "/proc/" in text)
    return False


def functions_fit_one_screen(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield f"line {node.lineno}: {node.name} has {lines} lines"


def modules_have_docstrings(module: Module) -> Iterator[str]:
    if not ast.get_docstring(module.tree):
        yield "no docstring"


def docstrings_open_plainly(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, DOCUMENTED) and RIDDLE.match(text := ast.get_docstring(node) or ""):
            yield f"line {getattr(node, 'lineno', 1)}: {text.splitlines()[0]}"


def no_exception_is_swallowed(module: Module) -> Iterator[str]:
    allowed = 1 if module.package == CATCHES_ALL else 0
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler) and catches_everything(node) and not raises_again(node):
            allowed -= 1
            if allowed < 0:
                yield f"line {node.lineno}: catches everything and does not raise it again"
    for call, name, _ in calls(module):
        if name == "suppress" and {ast.unparse(arg) for arg in call.args} & {"Exception", "BaseException"}:
            yield f"line {call.lineno}: suppresses everything"


def patterns_are_compiled_once(module: Module) -> Iterator[str]:
    """Patterns are module attributes, where `test_linear_time.py` finds them."""
    functions = [
        node for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    for function in functions:
        if (module.name, function.name) in COMPILES_PATTERNS:
            continue
        inside = Module(module.name, f"import re\n{ast.unparse(function)}")
        for call, name, origin in calls(inside):
            if origin == "re" and name != "escape":
                yield f"{function.name}: {ast.unparse(call.func)}() belongs at the top of the module"


RULES: list[Rule] = [
    imports_point_one_way,
    stores_are_reached_by_protocol,
    only_server_and_cli_import_mcp,
    pure_modules_stay_pure,
    only_one_module_writes,
    only_one_module_opens,
    functions_fit_one_screen,
    modules_have_docstrings,
    docstrings_open_plainly,
    no_exception_is_swallowed,
    patterns_are_compiled_once,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_follows(rule: Rule) -> None:
    findings = [f"{module.name}: {finding}" for module in MODULES for finding in rule(module)]
    assert not findings, "\n".join(findings)


def test_all_modules_were_read() -> None:
    assert words("errors model.report model.delta changes library storage") | {WRITER} <= NAMES


def test_only_one_handler_in_all_of_the_server_catches_everything() -> None:
    handlers = [
        module.name
        for module in MODULES
        if module.package == CATCHES_ALL
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and catches_everything(node) and not raises_again(node)
    ]
    assert len(handlers) <= 1


def test_a_call_enters_few_files(tmp_path: Path) -> None:
    entered = dict(entered_files(tmp_path))
    for name, most in MAX_ENTERED_FILES.items():
        assert len(entered[name]) <= most, "\n".join([name, *entered[name]])


# --- Cycles -------------------------------------------------------------------------------


def import_graph(modules: list[Module]) -> dict[str, set[str]]:
    """The modules that each module imports, in functions and for type checkers only included."""
    names = {module.name for module in modules}
    return {
        module.name: {imported_module(name, names) for _, name in own_imports(module)} for module in modules
    }


def imported_module(name: str, names: set[str]) -> str:
    """Return the module that a name such as `errors.ReportError` comes from."""
    return name if name in names else name.rpartition(".")[0]


def find_cycle(graph: dict[str, set[str]]) -> list[str]:
    """Return a path from a module back to itself, or nothing."""
    done: set[str] = set()

    def follow(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name not in done:
            for target in sorted(graph.get(name, ())):
                if cycle := follow(target, [*path, name]):
                    return cycle
            done.add(name)
        return []

    return next((cycle for name in sorted(graph) if (cycle := follow(name, []))), [])


def test_no_imports_form_a_cycle() -> None:
    assert not (cycle := find_cycle(import_graph(MODULES))), " -> ".join(cycle)


def test_a_cycle_with_an_import_in_a_function_is_found() -> None:
    late = Module("cli.show", "def f():\n    from living_reports.cli.parser import build_parser")
    parser = Module("cli.parser", "import living_reports.cli.show")
    assert find_cycle(import_graph([late, parser])) == ["cli.parser", "cli.show", "cli.parser"]


def test_a_cycle_with_an_import_for_annotations_is_found() -> None:
    source = "if TYPE_CHECKING:\n    from living_reports.store.files.report import ReportFiles"
    recovery = Module("store.files.recovery", source)
    report = Module("store.files.report", "from living_reports.store.files import recovery")
    assert find_cycle(import_graph([recovery, report])) == [
        "store.files.recovery",
        "store.files.report",
        "store.files.recovery",
    ]


def test_imports_of_one_direction_are_no_cycle() -> None:
    report = Module("store.files.report", "from living_reports.store.files import recovery, durable")
    recovery = Module("store.files.recovery", "from living_reports.store.files.durable import touch")
    assert find_cycle(import_graph([report, recovery, Module("store.files.durable", "")])) == []


# --- Examples -----------------------------------------------------------------------------

VIOLATIONS: list[tuple[Rule, str, str]] = [
    (imports_point_one_way, "model.report", "from living_reports import store"),
    (imports_point_one_way, "model.report", "from living_reports.store.base import Snapshot"),
    (imports_point_one_way, "store.files.lock", "def f():\n    from living_reports.library import Library"),
    (imports_point_one_way, "store.files.lock", "from ...library import Library"),
    (imports_point_one_way, "render.html", "import living_reports.changes"),
    (imports_point_one_way, "server.tools", "LAZY = 'living_reports.store.files.durable'"),
    (imports_point_one_way, "attic", ""),
    (stores_are_reached_by_protocol, "library.writing", "from living_reports.store.files import x"),
    (stores_are_reached_by_protocol, "interchange", "import living_reports.store.files.durable"),
    (stores_are_reached_by_protocol, "store.base", "def f():\n    from . import files"),
    (only_server_and_cli_import_mcp, "library.writing", "from mcp.server import Server"),
    (pure_modules_stay_pure, "model.delta", "import time"),
    (pure_modules_stay_pure, "model.delta", "from os import path"),
    (pure_modules_stay_pure, "reading.check", "from datetime import date\ndate.today()"),
    (pure_modules_stay_pure, "model.report", "import uuid\nuuid.uuid4()"),
    (pure_modules_stay_pure, "render.markdown", "open('page.md')"),
    (pure_modules_stay_pure, "install.plan", "from pathlib import Path"),
    (only_one_module_writes, "library.writing", "path.write_text('x')"),
    (only_one_module_writes, "library.writing", "path.replace(target)"),
    (only_one_module_writes, "library.writing", "path.open('r+b')"),
    (only_one_module_writes, "library.writing", "path.open(mode=mode)"),
    (only_one_module_writes, "cli.demo", "open('report.md', 'w')"),
    (only_one_module_writes, "cli.commands", "import io\nio.open('report.md', mode='a')"),
    (only_one_module_writes, "store.files.lock", "import os\nos.open(path, os.O_RDWR | os.O_CREAT)"),
    (only_one_module_writes, "store.files.lock", "import portalocker\nportalocker.Lock(path)"),
    (only_one_module_writes, "store.files.audit", "import os as system\nsystem.fsync(fd)"),
    (only_one_module_writes, "store.files.audit", "from os import replace as put\nput(a, b)"),
    (only_one_module_writes, "store.files.report", "import shutil\nshutil.rmtree(path)"),
    (only_one_module_writes, "cli.commands", "import tempfile\ntempfile.mkdtemp()"),
    (only_one_module_writes, "library.writing", "open_regular(path, os.O_WRONLY)"),
    (only_one_module_opens, "library.writing", "path.read_bytes()"),
    (only_one_module_opens, "library.writing", "open(path, 'rb')"),
    (only_one_module_opens, "store.files.audit", "from io import FileIO\nFileIO(path)"),
    (only_one_module_opens, WRITER, "import os\nos.open(path, os.O_WRONLY | _FLAGS)"),
    (functions_fit_one_screen, "reading.views", "def f():\n" + "    x = 1\n" * MAX_FUNCTION_LINES),
    (
        functions_fit_one_screen,
        "reading.views",
        "class C:\n  async def f():\n" + "    x = 1\n" * MAX_FUNCTION_LINES,
    ),
    (modules_have_docstrings, "reading.views", "import json"),
    (docstrings_open_plainly, "reading.views", '"""What is shown."""'),
    (docstrings_open_plainly, "reading.views", 'class A:\n  async def f():\n    """Whose it is."""'),
    (no_exception_is_swallowed, "library.writing", "try:\n    f()\nexcept Exception:\n    pass"),
    (
        no_exception_is_swallowed,
        "library.writing",
        "try:\n    f()\nexcept (OSError, BaseException) as e:\n    raise E from e",
    ),
    (no_exception_is_swallowed, "library.writing", "try:\n    f()\nexcept:\n    pass"),
    (no_exception_is_swallowed, "library.writing", "with contextlib.suppress(Exception):\n    f()"),
    (no_exception_is_swallowed, "server.calls", "try:\n    f()\nexcept Exception:\n    pass\n" * 2),
]

ALLOWED: list[tuple[Rule, str, str]] = [
    (imports_point_one_way, "library.writing", "from living_reports.store import open_store"),
    (imports_point_one_way, "store.files.lock", "from living_reports.store.files import durable"),
    (imports_point_one_way, "store.files.lock", "from . import durable"),
    (imports_point_one_way, "store.files.lock", "from living_reports import __version__"),
    (stores_are_reached_by_protocol, "store", "from living_reports.store.files import FolderStore"),
    (
        stores_are_reached_by_protocol,
        "storage",
        "from living_reports.store.files.lock import ReportLock",
    ),
    (
        stores_are_reached_by_protocol,
        "store.files.lock",
        "from living_reports.store.files import durable",
    ),
    (stores_are_reached_by_protocol, "library.library", "from living_reports.store import open_store"),
    (stores_are_reached_by_protocol, "reading.history", "from living_reports.store.base import Event"),
    (only_server_and_cli_import_mcp, "server.calls", "from mcp.server import Server"),
    (pure_modules_stay_pure, "model.report", "import uuid\nuuid.UUID('0')"),
    (
        pure_modules_stay_pure,
        "reading.check",
        "from datetime import date\ndate.fromisoformat(day)",
    ),
    (pure_modules_stay_pure, "store.files.report", "import time"),
    (pure_modules_stay_pure, "install.clients", "from pathlib import PurePath"),
    (pure_modules_stay_pure, "install", "from pathlib import Path"),
    (only_one_module_writes, WRITER, "import os\nos.replace(a, b)"),
    (only_one_module_writes, "library.writing", "text.replace('a', 'b')\nmoment.replace(tzinfo=None)"),
    (
        only_one_module_writes,
        "library.writing",
        "from living_reports.store.files import durable\ndurable.touch(path)",
    ),
    (only_one_module_writes, "library.writing", "path.open('rb')\nopen(path)\npath.read_bytes()"),
    (only_one_module_writes, "cli.commands", "import os\nos.open(os.devnull, os.O_WRONLY)"),
    (only_one_module_writes, "store.files.lock", "open_regular(path)"),
    (only_one_module_opens, OPENER, "import os\nos.open(path, flags)"),
    (only_one_module_opens, "store.files.audit", "open(descriptor, 'rb')\nread_regular(path)"),
    (only_one_module_writes, "store.files.audit", "import os\nos.open(path, os.O_RDONLY)"),
    (functions_fit_one_screen, "reading.views", "def f():\n" + "    x = 1\n" * (MAX_FUNCTION_LINES - 1)),
    (
        no_exception_is_swallowed,
        "library.writing",
        "try:\n    f()\nexcept BaseException:\n    undo()\n    raise",
    ),
    (no_exception_is_swallowed, "server.calls", "try:\n    f()\nexcept Exception:\n    answer()"),
]


@pytest.mark.parametrize(("rule", "name", "source"), VIOLATIONS)
def test_a_rule_finds_a_violation(rule: Rule, name: str, source: str) -> None:
    assert list(rule(Module(name, source)))


@pytest.mark.parametrize(("rule", "name", "source"), ALLOWED)
def test_a_rule_accepts_what_is_allowed(rule: Rule, name: str, source: str) -> None:
    assert list(rule(Module(name, source))) == []
