import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import calibkit
from calibkit.sweep import provenance


def test_every_result_says_where_it_comes_from(finished):
    rows = finished.rows("SELECT COLUMNS(*) FROM provenance")
    assert len(rows) == 8
    with finished.store.reading() as con:
        names = [c[0] for c in con.execute("FROM provenance").description]
        commit = provenance.git_state()[0]
    for row in rows:
        found = dict(zip(names, row, strict=True))
        optional = {"git_commit", "git_dirty"} if commit is None else set()
        assert {name for name, value in found.items() if value is None} <= optional
        assert json.loads(found["versions"])["torch"] == version("torch")
        assert found["git_commit"] == commit
        assert (found["workers"], found["harness"], found["device"]) == (1, 1, "cpu")
        stages = {"calibrate", "rounding", "evaluate", "rows", "distributions"}
        assert set(json.loads(found["stages"])) == stages
        assert 0 < sum(json.loads(found["stages"]).values()) <= found["seconds"]
        assert found["peak_mb"] > 50


def test_every_run_keeps_the_recipe_as_it_was_written(study):
    text = study.recipe_file({"about": "said in the recipe", "grid": {"bits": [8]}}).read_text()
    study.run({"about": "said in the recipe", "grid": {"bits": [8]}})
    runs = study.rows("SELECT recipe_text, recipe, command FROM runs ORDER BY started_at")
    assert len(runs) == 2
    assert runs[1][:2] == (text, "tiny")
    measured_by = study.rows("SELECT DISTINCT run_id FROM cells")
    assert len(measured_by) == 1  # the second run found everything


def test_the_results_of_a_recipe_are_those_of_its_latest_version(study):
    study.run({"grid": {"bits": [8]}})
    assert study.rows("SELECT DISTINCT bits FROM results") == [(8,)]
    study.run()
    assert study.rows("SELECT DISTINCT bits FROM results ORDER BY 1") == [(3,), (8,)]


def test_versions_are_read_without_loading_the_packages():
    program = (
        "import sys, json; from calibkit.sweep import provenance as p; found = p.versions();"
        "print(json.dumps([found, sorted({'torch', 'brevitas', 'scipy'} & set(sys.modules))]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    found, loaded = json.loads(done.stdout)
    assert loaded == []
    assert found["calibkit"] == calibkit.__version__
    assert found["duckdb"] == version("duckdb")
    assert "not installed" not in found.values()


def test_a_command_is_told_so_that_it_can_be_typed_again(monkeypatch):
    typed = ["/somewhere/bin/calibkit", "evaluate", "a recipe.yaml", "--where", "bits = 4"]
    monkeypatch.setattr(sys, "argv", typed)
    assert provenance.command_line() == "calibkit evaluate 'a recipe.yaml' --where 'bits = 4'"
    monkeypatch.setattr(sys, "argv", ["/x/calibkit/__main__.py", "info"])
    assert provenance.command_line() == "calibkit info"


def test_git_state_of_a_checkout_and_of_none(tmp_path, monkeypatch):
    def git(*words):
        who = ["-c", "user.name=n", "-c", "user.email=e@x"]
        subprocess.run(["git", "-C", tmp_path, *who, *words], check=True, capture_output=True)

    file = tmp_path / "provenance.py"
    file.write_text("a")
    monkeypatch.setattr(provenance, "__file__", str(file))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.git_state() == (None, None)
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "one")
    assert provenance.git_state() == (None, None)  # a checkout, but not of this code
    git("add", "provenance.py")
    git("commit", "-q", "-m", "two")
    commit, dirty = provenance.git_state()
    assert len(commit) == 40
    assert dirty is False
    file.write_text("b")
    assert provenance.git_state() == (commit, True)
    assert Path(provenance.__file__) == file
