"""The house rules that a tool can hold: style, types, import rows, sizes."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import networkx
import pytest

ROOT = Path(__file__).resolve().parent.parent
HOUSE = ROOT / "tests"
PACKAGE = sorted((ROOT / "sparx_nas").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
FILE_LINES, FUNCTION_LINES = 300, 40
DEVICE, DEVICE_LINES = "triton_device.py", 80
"""Where a function is a GPU program: a part of one takes twenty arguments, so they are longer."""
SKIPS = ("pytest.skip", "pytest.mark.skip", "pytest.mark.skipif", "pytest.mark.xfail")
HEAVY = ("torch", "ray", "optuna", "timm", "torchvision", "plotly")


def run(*words: str) -> str:
    """Run a module of this Python in the root; return what it says if it complains, else ""."""
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_style() -> None:
    assert not run("ruff", "check", "sparx_nas", "tests")


def test_format() -> None:
    assert not run("ruff", "format", "--check", "sparx_nas", "tests")


def test_types() -> None:
    assert not run("mypy")


def test_import_rows() -> None:
    script = "import sys; from importlinter.cli import lint_imports_command as c; sys.exit(c())"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_sizes(path: Path) -> None:
    text = path.read_text()
    most = DEVICE_LINES if path.name == DEVICE else FUNCTION_LINES
    assert len(text.splitlines()) <= FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            # The docstring says what the signature cannot; it is no code.
            doc = node.body[0]
            said = ast.get_docstring(node) is not None
            lines = (doc.end_lineno or 0) - doc.lineno + 1 if said else 0
            assert node.end_lineno - node.lineno + 1 - lines <= most, node.name


@pytest.mark.parametrize(
    "code",
    [
        "import sparx_nas",
        "import sparx_nas; sparx_nas.estimate(sparx_nas.load_space('mamba_t').sample(0))",
        "import sparx_nas.drawing.report",
        "import sparx_nas.search.__main__",
    ],
)
def test_what_describes_loads_nothing_heavy(code: str) -> None:
    loaded = f"import sys; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{loaded}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def names_in_ls() -> list[str]:
    """List what git keeps directly below the package, as `ls` shows it in a fresh clone."""
    tracked = subprocess.run(
        ["git", "ls-files", "sparx_nas"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return sorted({line.split("/")[1] for line in tracked})


def module_of(path: Path) -> str:
    """Return the dotted name of a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_by(path: Path, known: set[str]) -> set[str]:
    """List the modules that a file imports anywhere in it, for its types as well."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= whole & known or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & known


def circles(arrows: dict[str, set[str]]) -> list[set[str]]:
    """Return the groups of names of which each leads to every other."""
    graph = networkx.DiGraph((a, b) for a, to in arrows.items() for b in to if a != b)
    return [found for found in networkx.strongly_connected_components(graph) if len(found) > 1]


def test_ls_is_a_table_of_contents() -> None:
    assert len(names_in_ls()) <= 20


def test_no_modules_and_no_rooms_import_each_other() -> None:
    files = {module_of(path): path for path in PACKAGE}
    arrows = {name: imported_by(path, set(files)) for name, path in files.items()}
    assert circles(arrows) == []
    rooms: dict[str, set[str]] = {}
    for name, targets in arrows.items():
        # The rooms of a search are rooms as well.
        depth = 3 if name.startswith("sparx_nas.search.") else 2
        room = ".".join(name.split(".")[:depth])
        for target in targets:
            depth = 3 if target.startswith("sparx_nas.search.") else 2
            rooms.setdefault(room, set()).add(".".join(target.split(".")[:depth]))
    assert circles(rooms) == []


def test_no_parts_of_the_page_import_each_other() -> None:
    page = ROOT / "sparx_nas" / "viewer" / "server" / "page"
    arrows = {
        file.name: set(re.findall(r'from "\./([\w-]+\.js)"', file.read_text()))
        for file in page.glob("*.js")
    }
    assert set().union(*arrows.values()) <= set(arrows)
    assert len(arrows) > 10
    assert circles(arrows) == []


def test_the_tour_of_the_house_leads_where_things_are() -> None:
    """Every file that the page names is there, and defines the names that follow it."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    files = [str(p.relative_to(ROOT / "sparx_nas")) for p in (ROOT / "sparx_nas").rglob("*.*")]
    named = re.findall(r"`([\w/-]+\.(?:py|js|html|yaml))`(?:: `([\w.]+)`)?", text)
    assert len(named) > 60
    for path, name in named:
        found = [f for f in files if f == path or f.endswith(f"/{path}")]
        assert found or (ROOT / path).exists(), f"{path} is nowhere"
        if name:
            texts = [(ROOT / "sparx_nas" / f).read_text() for f in found]
            defined = rf"(def|class) {name.split('.')[-1]}\b|^{name} ?[:=]"
            assert any(re.search(defined, t, re.M) for t in texts), f"no {name} in {path}"


def test_every_room_says_what_it_is_and_has_its_tests_in_a_room_of_its_name() -> None:
    rooms = {p.parent for p in PACKAGE if p.name == "__init__.py"}
    assert all(ast.get_docstring(ast.parse((r / "__init__.py").read_text())) for r in rooms)
    names = {room.name for room in rooms if room.parent.name == "sparx_nas"}
    tested = {p.parent.name for p in TESTS if p.name.startswith("test_") and p.parent != HOUSE}
    assert tested == names


def test_every_package_is_in_the_wheel() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {".".join(p.parent.relative_to(ROOT).parts) for p in PACKAGE if p.stem == "__init__"}
    assert set(told["packages"]) == found | set(told["package-dir"])


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_assert_something_and_say_why_they_skip(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    reasoned = [
        node.func
        for node in nodes
        if isinstance(node, ast.Call)
        and (node.args or node.keywords)
        and (
            "skipif" not in ast.unparse(node.func) or any(k.arg == "reason" for k in node.keywords)
        )
    ]
    for node in nodes:
        if isinstance(node, ast.Assert):
            assert not isinstance(node.test, ast.Constant), f"line {node.lineno} asserts nothing"
        if isinstance(node, ast.Attribute) and ast.unparse(node) in SKIPS:
            assert node in reasoned, f"line {node.lineno} skips without a reason"
