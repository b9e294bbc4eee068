"""The package as a whole: import cost, public names, documents that must agree."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import grokkit as gk
from grokkit import _native

ROOT = Path(__file__).parent.parent


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_import_loads_no_torch_and_no_numpy():
    loaded = python("import sys, grokkit; print(*sys.modules)").split()
    heavy = {"torch", "numpy", "scipy", "matplotlib", "typer", "rich", "jaxtyping", "joblib", "pandas"}
    assert not heavy & set(loaded)


def test_schemes_proofs_and_products_need_no_torch():
    loaded = python(
        "import sys, grokkit as gk\n"
        "gk.verify(gk.expand(gk.catalog['strassen'], 2))\n"
        "gk.matmul([[1, 2]], [[3], [4]], scheme='strassen')\n"
        "gk.equivalent(gk.catalog['strassen'], gk.catalog['winograd'])\n"
        "gk.crystallize(gk.catalog['strassen'].floats()); gk.discover_expansion_operator\n"
        "print(*sys.modules)"
    ).split()
    assert not {"torch", "scipy", "matplotlib", "joblib", "statsmodels"} & set(loaded)


def test_public_names():
    assert set(gk.__all__) == {name for names in gk._HOMES.values() for name in names} | {"__version__"}
    for name in gk.__all__:
        assert getattr(gk, name) is not None
    assert dir(gk) == sorted(gk.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        gk.nonsense  # noqa: B018
    tree = ast.parse((ROOT / "src/grokkit/__init__.py").read_text())
    typed = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert typed == set(gk.__all__) - {"__version__"}


@pytest.mark.parametrize(
    "first",
    [
        "import grokkit.crystallize",
        "from grokkit import studies",
        "import grokkit.crystallize._crystallize as c",
        "",
    ],
)
def test_crystallize_is_callable_whatever_was_imported_first(first):
    code = (
        f"{first}\nimport grokkit as gk\n"
        "assert gk.crystallize(gk.catalog['strassen'].floats()).exact == 1\n"
        "from grokkit.crystallize import Path"
    )
    python(code)


WITHOUT_TORCH = "import sys\nsys.modules['torch'] = None\n"


def test_a_missing_laboratory_is_one_line():
    code = (
        "import grokkit as gk\n"
        "try: gk.train(gk.TrainConfig(runs=2, shard_size=2, steps=5, retrain_steps=5, engine='torch'))\n"
        "except ImportError as error: print(error)"
    )
    expected = "training with --engine torch needs torch: pip install 'grokkit[lab]'"
    assert python(WITHOUT_TORCH + code).strip() == expected


@pytest.mark.skipif(_native.load() is None, reason="no native core")
def test_the_native_core_trains_without_torch():
    code = (
        "import grokkit as gk\n"
        "population = gk.train(gk.TrainConfig(runs=2, shard_size=2, steps=50, retrain_steps=50))\n"
        "print(gk.crystallize(population).exact, population.config.engine)"
    )
    assert python(WITHOUT_TORCH + code).strip() == "2 native"


def test_the_command_line_without_the_laboratory_is_one_line():
    code = "from grokkit.cli import main\nsys.exit(main(['train', '--out', 'x', '--engine', 'torch']))"
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH + code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "grokkit: training with --engine torch needs torch: pip install 'grokkit[lab]'\n"


def test_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == gk.__version__
    assert f"version: {gk.__version__}" in (ROOT / "CITATION.cff").read_text()
    assert f"## {gk.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_public_functions_are_documented():
    for name in gk.__all__:
        value = getattr(gk, name)
        if callable(value):
            assert value.__doc__ and len(value.__doc__) > 40, name


def test_the_readme_example_runs(tmp_path, monkeypatch):
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", readme, flags=re.S)
    assert blocks
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_architecture_names_every_room():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for folder in (ROOT / "src/grokkit").iterdir():
        if folder.is_dir() and folder.name != "__pycache__":
            assert f"`{folder.name}/`" in text, folder.name


def test_architecture_is_drawn_from_the_real_imports():
    import grimp

    graph = grimp.build_graph("grokkit")
    rooms: dict[str, set[str]] = {}
    for module in graph.modules:
        room = ([*module.split("."), ""])[1]
        found = {([*each.split("."), ""])[1] for each in graph.find_modules_directly_imported_by(module)}
        rooms.setdefault(room, set()).update(found - {room, "", "_version"})
    rows = re.findall(r"^\| `(\w+)/` \|.*\| ([^|]+) \|$", (ROOT / "ARCHITECTURE.md").read_text(), re.M)
    drawn = {room: set() if words == "nothing of ours" else set(words.split(", ")) for room, words in rows}
    assert drawn == {room: rooms[room] for room in drawn}
    assert set(drawn) == set(rooms) - {"", "__main__", "_version"}


def test_every_command_is_documented():
    readme = (ROOT / "README.md").read_text()
    from grokkit.cli._app import app
    from grokkit.cli._verbs import register

    register(app)
    for command in (*app.registered_commands, *app.registered_groups):
        name = command.name or command.typer_instance.info.name
        assert f"grokkit {name}" in readme, name


def test_tests_mirror_the_rooms():
    rooms = {p.name for p in (ROOT / "src/grokkit").iterdir() if p.is_dir() and p.name != "__pycache__"}
    folders = {p.name for p in (ROOT / "tests").iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders == rooms


def test_the_public_names_are_those_that_are_listed():
    """Nothing public changes unnoticed; docs/stability.md says what a change asks for."""
    listed = ROOT / "docs" / "reference" / "public-api.txt"
    path = str(ROOT / "tools")
    code = f"import sys; sys.path.insert(0, {path!r}); import public_api; print(*public_api.lines(), sep='\\n')"
    assert python(code).splitlines() == listed.read_text("utf-8").splitlines(), "python tools/public_api.py lists anew"
