"""The README does what it says: every command, query, recipe and program in it is executed.

Blocks are told apart by their language. ``sh``: one command line each, run in the order of the
page in one folder, on a copy of the quickstart's store, with small files under the names that the
page uses; set-up lines are not run here but must stand in .ci/run. ``sql``: statements, run by
``calibkit sql``. ``yaml``, ``python`` and ``toml`` with a file name in the first line are written
to that file; python without one is run. ``text`` is output and may hold no commands.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from readme_page import SETUP, Step, command_lines, read_blocks, steps_of

pytestmark = pytest.mark.timeout(3600)  # whoever comes first waits for all commands of the page

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TABLE = re.compile(
    r"<!-- quickstart table: .*? -->\n(.*?)<!-- end of the quickstart table -->", re.S
)

LABELS = {
    "World": ["minister", "treaty", "border", "war", "peace", "talks", "election", "embassy"],
    "Sports": ["match", "goal", "coach", "season", "striker", "league", "final", "medal"],
    "Business": ["shares", "profit", "market", "oil", "bank", "merger", "dollar", "quarter"],
    "Sci/Tech": ["software", "chip", "probe", "virus", "internet", "browser", "space", "gene"],
}


BLOCKS = read_blocks(README)
STEPS = steps_of(BLOCKS)


def named(step: Step) -> str:
    return f"{step.line}-{' '.join(step.source.split())[:60]}"


# ------------------------------------------------------------------------------- the workplace


def write_data(folder: Path, make_corpus_files: Any) -> None:
    """Write the data files that the README's commands name."""
    made = make_corpus_files(folder, {"train": 480, "valid": 60, "test": 80}, topics=LABELS)
    rows = [line.rsplit(",", 1) for line in made["train"].read_text().splitlines()[1:]]
    with gzip.open(folder / "mails.jsonl.gz", "wt") as file:
        for text, label in rows:
            file.write(json.dumps({"body": text, "folder": label.lower()}) + "\n")
    tsv = ["text\tlabel", *("\t".join(row) for row in rows), "a text without its label\t"]
    (folder / "reviews.tsv").write_text("\n".join(tsv) + "\n")
    import pyarrow as pa
    from pyarrow import parquet

    columns = list(zip(*rows[:60], strict=True))
    texts = [f"{text} once more" for text in columns[0]]
    parquet.write_table(
        pa.table({"text": texts, "label": list(columns[1])}), folder / "reviews-test.parquet"
    )
    hub = folder / "dair-ai" / "emotion"  # a local folder goes before an address of the hub
    make_corpus_files(hub, {"train": 90, "validation": 12, "test": 15})


def offer_policy(folder: Path, declared: str) -> None:
    """Install the README's package as pip would: its module, and metadata beside it."""
    project = tomllib.loads(declared)["project"]
    info = folder / "readme_policy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: readme-policy\nVersion: 1.0\n")
    lines = []
    for group, offers in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in offers.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


@dataclass(frozen=True)
class Workplace:
    """A folder in which the README's commands work."""

    folder: Path
    store: Path
    documents: int

    def execute(self, step: Step) -> subprocess.CompletedProcess[str]:
        if step.language == "sh":
            program = ["bash", "-c", f"set -euo pipefail\n{self._limited(step.source)}"]
        elif step.language == "sql":
            program = ["calibkit", "sql", step.source, "--json"]
        else:
            program = [sys.executable, "-c", step.source]
        return subprocess.run(
            program, cwd=self.folder, env=self._environment(),
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    def _limited(self, command: str) -> str:
        """The quickstart was measured on some documents; its recipe goes on with those."""
        is_its_recipe = re.match(
            r"calibkit evaluate (recipes/quickstart|more-noise)\.yaml", command
        )
        return f"{command} --limit-documents {self.documents}" if is_its_recipe else command

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CALIBKIT_", "HF_"))}
        return kept | {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(self.folder), str(ROOT)]),
            "CALIBKIT_STORE": str(self.store),
            "HF_HOME": str(self.folder / "huggingface"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        }


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, quickstart, make_corpus_files) -> Workplace:
    folder = tmp_path_factory.mktemp("readme")
    write_data(folder, make_corpus_files)
    (folder / "recipes").symlink_to(ROOT / "recipes")
    for block in BLOCKS:
        if block.file and block.language == "toml":
            offer_policy(folder, block.text)
        elif block.file:
            (folder / block.file).write_text(block.text)
    program = folder / "bin" / "calibkit"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m calibkit.cli "$@"\n')
    program.chmod(0o755)
    return Workplace(folder, quickstart.copy_to(folder), quickstart.documents)


@pytest.fixture(scope="module")
def results(workplace: Workplace) -> dict[Step, subprocess.CompletedProcess[str]]:
    """What every step of the page did, executed from top to bottom."""
    return {step: workplace.execute(step) for step in STEPS}


# ------------------------------------------------------------------------------------ execution


@pytest.mark.parametrize("step", STEPS, ids=named)
def test_it_works_as_written(step, results):
    done = results[step]
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr
    if step.language == "sql":
        rows = done.stdout.splitlines()
        assert rows or "FROM failed" in step.source, "the query finds nothing"


def result_of(results: dict[Step, Any], beginning: str) -> subprocess.CompletedProcess[str]:
    (found,) = [done for step, done in results.items() if step.source.startswith(beginning)]
    return found


def planned(workplace: Workplace) -> int:
    """Return the number of the quickstart's cells, as the store says it."""
    done = workplace.execute(
        Step(0, "sql", "SELECT planned FROM progress WHERE recipe = 'quickstart'")
    )
    return int(json.loads(done.stdout)["planned"])


def test_running_the_quickstart_again_measures_nothing(results, workplace):
    done = result_of(results, "calibkit evaluate recipes/quickstart.yaml")
    cells = planned(workplace)
    assert "\n0 cells measured" in done.stderr and f"{cells} of {cells} done" in done.stderr


def test_an_added_noise_level_is_measured_in_the_cells_that_are_there(results, workplace):
    done = result_of(results, "calibkit evaluate more-noise.yaml")
    cells = planned(workplace)
    assert f"{cells} of {cells} done" in done.stderr and "@0.20" in done.stdout
    asked = Step(0, "sql", "SELECT count(*) AS n, count(DISTINCT noise) AS levels FROM results"
                           " WHERE recipe = 'quickstart'")  # fmt: skip
    assert json.loads(workplace.execute(asked).stdout) == {"n": 4 * cells, "levels": 4}
    trained = Step(0, "sql", "SELECT count(*) AS n FROM models WHERE corpus_id IN (SELECT corpus_id"
                             " FROM corpora WHERE name = 'docstrings')")  # fmt: skip
    assert json.loads(workplace.execute(trained).stdout) == {"n": 2}


def output_shown(beginning: str) -> str:
    (found,) = [b.text for b in BLOCKS if b.language == "text" and b.text.startswith(beginning)]
    return found


def test_the_profile_has_the_lines_that_the_page_shows(results):
    shown = output_shown("built and stored")
    done = result_of(results, "calibkit build-subset news --policy stratified")
    assert re.fullmatch(r"s1-[0-9a-f]{16}\n", done.stdout)
    names = [line.split()[0] for line in shown.splitlines()]
    assert names == [line.split()[0] for line in done.stderr.splitlines()]


def test_the_card_has_the_metrics_that_the_page_shows(results):
    def metrics(table):
        return [re.split(r"  +", line)[0] for line in table.splitlines()]

    shown = metrics(output_shown("metric  "))
    printed = metrics(result_of(results, 'calibkit profile "$(').stdout)
    assert printed[: len(shown)] == shown and printed[len(shown)] == ""


def test_files_are_written_where_the_page_says(results, workplace):
    for name in ("results.parquet", "summary.csv", "quickstart.json"):
        assert (workplace.folder / name).stat().st_size > 100
    assert json.loads((workplace.folder / "quickstart.json").read_text())
    rejected = result_of(results, "calibkit ingest reviews").stderr
    assert "reviews.tsv:482" in rejected


# ------------------------------------------------------------------------------------- the page


def test_every_block_is_of_a_kind_that_is_executed_or_plain_output():
    for block in BLOCKS:
        place = f"README.md:{block.line}"
        known = ("sh", "sql", "yaml", "python", "toml", "text")
        assert block.language in known, f"{place}: language {block.language!r}"
        if block.language in ("yaml", "toml"):
            assert block.file, f"{place}: the first line must name the file"
        if block.language == "text":
            assert not re.search(r"^\s*(\$ |calibkit |\.venv/|python)", block.text, re.M), place
        if block.language == "sh":
            for command in command_lines(block.text):
                assert not command.startswith(("#", "$ ", " ")), f"{place}: {command}"


def test_commands_outside_of_blocks_are_beginnings_of_those_that_are_executed():
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.S | re.M)
    assert not re.search(r"^(?: {4}|\t| *~~~|<pre|<code)", prose, re.M), "code that nobody runs"
    shown = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)]
    run = [step.source for step in STEPS] + ["calibkit sql QUERY"]
    for code in shown:
        if code.startswith("calibkit ") and not any(one.startswith(code) for one in run):
            raise AssertionError(f"no test runs what the README says: {code}")


def test_set_up_commands_stand_in_ci_word_for_word():
    setups = [
        command
        for block in BLOCKS
        if block.language == "sh"
        for command in command_lines(block.text)
        if command.startswith(SETUP)
    ]
    assert setups == [
        SETUP + ".venv/bin/calibkit evaluate recipes/quickstart.yaml",
        SETUP + ".venv/bin/pytest",
    ]
    ci = (ROOT / ".ci" / "run").read_text().splitlines()
    for command in setups:
        assert any(line.startswith(command) for line in ci), command
    first = next(line for line in ci if line.startswith("python3 -m venv"))
    assert first == setups[1]


def test_the_torch_that_is_proposed_is_the_torch_that_is_required():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (wanted,) = [one for one in project["dependencies"] if re.match(r"torch\b", one)]
    assert f"'{wanted}' --index-url https://download.pytorch.org/whl/cpu" in README


def test_the_table_on_top_has_the_rows_and_columns_of_its_query(results):
    (table,) = TABLE.findall(README)
    heading, _, *rows = [[c.strip() for c in line.strip("|").split("|")]
                         for line in table.splitlines()]  # fmt: skip
    query = next(step for step in STEPS if step.language == "sql" and "KS, 4 bits" in step.source)
    found = [json.loads(line) for line in results[query].stdout.splitlines()]
    assert heading == list(found[0])
    assert [row[:2] for row in rows] == [[one["model"], one["policy"]] for one in found]
    numbers = re.compile(r"\d+\.\d( ± \d+\.\d)?|0\.\d{3}")
    assert all(numbers.fullmatch(cell) for row in rows for cell in row[2:])


def test_the_quickstart_prints_its_table_and_what_comes_next(quickstart):
    for said in ("generative", "discriminative", "(float)", "±", "@0.05", "@0.10", "ks act"):
        assert said in quickstart.stdout
    assert re.search(r"\b(\d+) of \1 done$", quickstart.stderr, re.M)
    after = quickstart.stderr.partition("\nNext:\n")[2].splitlines()
    assert len(after) == 3 and all(" --store " in line for line in after)


def test_the_page_says_how_often_the_quickstart_draws():
    from calibkit.recipe import load_recipe

    grid = load_recipe(ROOT / "recipes" / "quickstart.yaml").grid
    count = {2: "twice", 3: "three times", 4: "four times", 5: "five times"}[len(grid.seed)]
    ways = {4: "four"}[len(grid.policy)]
    (size,) = grid.size
    text = " ".join(README.split())
    assert f"takes {size} calibration documents in {ways} ways, {count} each" in text


def test_recipes_load():
    from calibkit.recipe import is_stream, parse_recipe, parse_stream_recipe

    shown = [block for block in BLOCKS if block.language == "yaml"]
    assert shown
    for block in shown:
        if is_stream(block.text):
            followed = parse_stream_recipe(block.text, str(block.file))
            assert f"{followed.name}.yaml" == block.file and list(followed.trajectories())
            continue
        recipe = parse_recipe(block.text, str(block.file))
        assert f"{recipe.name}.yaml" == block.file and list(recipe.cells())


def test_what_the_page_says_is_refused_is_refused():
    from calibkit.quantize.schemes import SchemeSettings, unsupported

    (told,) = re.findall(r"^- Refused by name for now: (.*?)\.\n- ", README, re.S | re.M)
    assert unsupported(SchemeSettings(rounding={"embedding": "gpfq"}))
    assert "embeddings" in told and "`distill`" in told
    assert unsupported(SchemeSettings(rounding={"embedding": "distill"}))
    assert not unsupported(SchemeSettings(rounding="distill"))
    assert not unsupported(SchemeSettings(rounding={"gates": "gptq"}, bias_correction=True))
    assert not unsupported(SchemeSettings(arithmetic="integer"))
    assert "`quantize: {arithmetic: integer}`" in README


def test_the_presets_of_the_page_are_those_of_the_package():
    from calibkit.quantize.presets import PRESETS

    (told,) = re.findall(r"^Presets, .*?\n\n(.*?)\n\n", README, re.S | re.M)
    assert re.findall(r"^- `([a-z-]+)`:", told, re.M) == list(PRESETS)


def test_the_roundings_of_the_page_are_those_of_the_package():
    from calibkit.quantize.schemes import ROUNDINGS

    (told,) = re.findall(r"^`rounding` is (.*?)\n\n", README, re.S | re.M)
    assert re.findall(r"`([a-z-]+)`", told)[: len(ROUNDINGS["linear"])] == [*ROUNDINGS["linear"]]


def test_the_policies_of_the_page_are_those_of_the_package():
    from calibkit.policies import find_policy, policy_names

    ours = [n for n in policy_names() if find_policy(n).__module__.startswith("calibkit.")]
    (table,) = re.findall(r"^\| looks at \| policies \|\n(.*?)\n\n", README, re.S | re.M)
    assert sorted(set(re.findall(r"`([a-z-]+)`", table))) == ours
    assert "Twenty-nine ways" in README and len(ours) == 29


def test_the_noise_kinds_of_the_page_are_those_there_are():
    from calibkit.corpora.noise import noise_kinds

    (told,) = re.findall(r"^- \*\*Noise\.\*\* (.*?)`accuracy_drop`", README, re.S | re.M)
    kinds = {kind for kind in noise_kinds() if not kind.startswith("unk-match-")}
    assert set(re.findall(r"`([a-z-]+)`", told)) == kinds
