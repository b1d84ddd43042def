"""The house rules that a tool can hold: style, types, import rows, sizes."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
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
