"""Every command that is printed, in a message, a file or the documentation, can be pasted."""

import ast
import html
import re
import shlex
import stat
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

import sparx_nas
from sparx_nas.__main__ import TOOLS
from sparx_nas.command import typed as typing
from sparx_nas.command.typed import dashboard, typed, typed_anywhere
from sparx_nas.drawing.report import report_html
from sparx_nas.search.telling.summary import summary_lines
from support.commands import READ, flags_of, parsed
from support.runs import full_run

PACKAGE = Path(sparx_nas.__file__).parent
ROOT = PACKAGE.parent
TEXTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
SOURCES = sorted(PACKAGE.rglob("*.py"))
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
WITH_WORDS = re.compile(rf"(?:sparx-nas (?:{'|'.join(TOOLS)})|-m sparx_nas[.a-z]*) +[-./\w'\"]*")
"""The beginning of a command with something behind the tool's name."""
OF_OTHERS = {
    *("--no-binary", "--no-build-isolation", "--extra-index-url", "--no-compile"),  # pip
    *("--nproc-per-node", "--logdir", "--weights"),  # torchrun, tensorboard, an exported model.py
    *("--always", "--exclude", "--dirty", "--abbrev"),  # git
    "--head",  # ray
    "--version",
}


@cache
def strings_of(path: Path) -> list[tuple[int, str, bool]]:
    """Return the texts of a module that are no docstrings: line, text, whether more follows."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    return [
        (node.lineno, node.value, id(node) in inside)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    ]


def known_flags() -> set[str]:
    measuring = (ROOT / "tests" / "benchmarks").rglob("*.py")
    own = {text for path in measuring for _, text, _ in strings_of(path)}
    return OF_OTHERS.union(own, *(flags_of(tool) for tool in TOOLS))


def test_every_tool_can_be_read():
    assert set(READ) == set(TOOLS)
    for tool in TOOLS:
        assert flags_of(tool)


def test_no_command_with_words_is_spelled_by_hand():
    """`typed` quotes it and calls it as this installation does; prose names a tool alone."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {match[0]}"
        for path in SOURCES
        for line, text, _ in strings_of(path)
        for match in WITH_WORDS.finditer(text)
        if re.search(r" [-./'\"]", match[0]) or text.endswith(match[0])
    ]
    assert found == []
    page = [path for path in PACKAGE.rglob("page/*") if path.suffix in (".js", ".html")]
    assert page
    # What the page shows of commands comes from the server.
    assert [p.name for p in page if WITH_WORDS.search(p.read_text(encoding="utf-8"))] == []


def test_flags_of_commands_in_the_source_are_flags_of_the_tool():
    seen = 0
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id not in ("typed", "typed_anywhere"):
                continue
            words = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            where = f"{path.relative_to(ROOT)}:{node.lineno}"
            assert words, f"{where}: the tool is not named"
            assert words[0] in TOOLS, where
            flags = {word for word in words[1:] if str(word).startswith("--")}
            assert flags <= flags_of(words[0]), where
            seen += 1
    assert seen > 10


def test_every_flag_that_a_message_names_is_one():
    known = known_flags()
    unknown = {
        (str(path.relative_to(ROOT)), flag)
        for path in SOURCES
        for _, text, _ in strings_of(path)
        for flag in FLAG.findall(text)
        if flag not in known and not flag.startswith("--sx-")  # colours of a style sheet
    }
    assert unknown == set()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def shell_lines(path: Path) -> list[str]:
    lines = [
        line
        for block in blocks(path.read_text(encoding="utf-8"), "bash")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    return [line for line in lines if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_commands_of_the_documentation_are_read_by_their_tools(path: Path):
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", path.read_text(encoding="utf-8"))
    inline = [s for s in spans if s.startswith(("sparx-nas ", "python -m sparx_nas."))]
    # A command alone names a tool, and some take something.
    for command in [*shell_lines(path), *(s for s in inline if len(s.split()) > 2)]:
        if "…" not in command and not command.startswith("sparx-nas COMMAND"):
            parsed(command)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_flags_of_the_documentation_are_flags(path: Path):
    assert set(FLAG.findall(path.read_text(encoding="utf-8"))) <= known_flags()


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_python_of_the_documentation_is_python(path: Path):
    for block in blocks(path.read_text(encoding="utf-8"), "python"):
        compile(block, str(path), "exec")


@pytest.mark.parametrize("folder", [None, "/data/it's all here"])
def test_commands_of_a_summary_and_a_report_are_read_by_their_tools(folder: str | None):
    known = full_run()
    config = {**known.config, "data": "/my photos/cats", "data_dir": folder}
    path = Path("/tmp/a b/run one")
    run = replace(known, config=config, path=str(path))
    lines = [line.split(maxsplit=1) for line in summary_lines(run, path)]
    following = lines[lines.index(["Next"]) + 1 :]
    said = dict(pair for pair in following if pair[0] not in ("report", "best", "go"))
    said["go"] = dict(pair for pair in following if pair[0] == "go")["go"].removeprefix("on ")
    tools = {name: parsed(command) for name, command in said.items()}
    assert tools == {
        "explore": "view",
        "study": "optuna-dashboard",
        "train": "train",
        "full": "export",
        "export": "export",
        "go": "search",
    }
    for command in said.values():
        assert any("a b/run one" in word for word in shlex.split(command))
    assert "/my photos/cats" in shlex.split(said["train"])
    codes = re.findall(r"<pre><code>(.*?)</code></pre>", report_html(run), re.DOTALL)
    shells = [html.unescape(code) for code in codes if not code.startswith("import ")]
    assert [parsed(code) for code in shells] == ["search", "search", "export", "optuna-dashboard"]


def test_a_command_is_called_as_the_shell_finds_it(tmp_path, monkeypatch):
    home = tmp_path / "my env" / "bin"
    home.mkdir(parents=True)
    for name in ("python", "sparx-nas"):
        (home / name).touch()
        (home / name).chmod(stat.S_IRWXU)
    monkeypatch.setattr(sys, "executable", str(home / "python"))
    monkeypatch.setenv("PATH", str(home))
    assert typed("search", "--resume", "a b") == "sparx-nas search --resume 'a b'"
    monkeypatch.setenv("PATH", "/nowhere")
    assert typed("doctor") == f"'{home}/sparx-nas' doctor"
    monkeypatch.chdir(tmp_path)
    assert typed("doctor") == "'my env/bin/sparx-nas' doctor"
    (home / "sparx-nas").unlink()
    assert typed("doctor") == "'my env/bin/python' -m sparx_nas doctor"
    monkeypatch.setenv("PATH", str(home))
    assert typed("doctor") == "python -m sparx_nas doctor"
    assert dashboard("sqlite:///x.db").startswith("python -m pip install 'sparx-nas[dashboard]' &&")
    assert typed_anywhere("doctor") == "sparx-nas doctor"
    assert typing.quoted("plain") == "plain"


def test_another_environments_command_is_not_taken(tmp_path, monkeypatch):
    for place in ("mine", "other"):
        (tmp_path / place).mkdir()
    other = tmp_path / "other" / "sparx-nas"
    other.touch()
    other.chmod(stat.S_IRWXU)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "mine" / "python"))
    monkeypatch.setenv("PATH", str(other.parent))
    assert typed("doctor") == f"{tmp_path}/mine/python -m sparx_nas doctor"


def test_extras_that_messages_name_are_there():
    known = set(re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    named = {
        extra
        for path in SOURCES
        for _, text, _ in strings_of(path)
        for extra in re.findall(r"sparx-nas\[(\w+)\]", text)
    }
    assert named <= known
    assert named
