"""Statement by statement: no SQL from outside writes, reads a file, hangs, or takes the memory."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from attack_statements import ATTACKS, BOMBS, HARMLESS, QUICK_BOMBS, SECRET
from seen_from_outside import Outside

from calibkit.errors import BadInput
from calibkit.store import Store, confinement, insert, query
from calibkit.store.conditions import meeting


@dataclass
class Place:
    """A store, a folder beside it with a secret in it, and who looks at both from outside."""

    top: Path
    store: Store
    eye: Outside
    before: dict[str, str]

    @property
    def folder(self) -> Path:
        return self.top / "watched" / "outside"

    def written(self, attack: str) -> str:
        return attack.format(
            store=self.store.path,
            folder=self.folder,
            outside=self.folder / "made.csv",
            secret=self.folder / "secret.txt",
        )

    def harm(self) -> dict[str, tuple[str | None, str | None]]:
        """Return what is not as it was, and put it back for the statements to come."""
        now = self.eye.files(self.top / "watched")
        if now == self.before:
            return {}
        shutil.rmtree(self.top / "watched")
        shutil.copytree(self.top / "copy", self.top / "watched")
        names = {*now, *self.before}
        seen = {name: (self.before.get(name), now.get(name)) for name in sorted(names)}
        return {name: pair for name, pair in seen.items() if pair[0] != pair[1]}


@pytest.fixture(scope="module")
def place(tmp_path_factory, template, monkeypatch_module):
    top = tmp_path_factory.mktemp("attacked")
    watched = top / "watched"
    (watched / "outside").mkdir(parents=True)
    (watched / "home").mkdir()
    (watched / "outside" / "secret.txt").write_text(f"{SECRET}\n")
    store = Store(watched / "calibkit.duckdb")
    shutil.copy(template, store.path)
    with store.writing() as con:
        insert(con, "corpora", [{"corpus_id": "c1-news", "name": "news"}])
    shutil.copytree(watched, top / "copy")
    monkeypatch_module.setenv("HOME", str(watched / "home"))
    monkeypatch_module.chdir(watched)
    confinement.end()  # the next one lives in this folder
    with Outside() as eye, store.reading():  # held, so that every query need not open it here too
        yield Place(top, store, eye, eye.files(watched))
    confinement.end()


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.mark.smoke
@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_or_does_nothing(place, attack, capfd):
    start = time.monotonic()
    try:
        table = query(place.store, place.written(attack), timeout_s=5)
    except BadInput as error:
        assert SECRET not in str(error)
    else:
        assert attack in HARMLESS
        assert SECRET not in str(table.rows)
    assert time.monotonic() - start < 20  # no download was tried, and nothing was waited for
    assert place.harm() == {}
    assert capfd.readouterr().out == ""


def test_the_attacks_are_counted(told):
    groups = Counter(ATTACKS.values())
    assert sum(groups.values()) >= 120
    listed = ", ".join(f"{group} {count}" for group, count in groups.items())
    told(f"SQL attacks: {len(ATTACKS)} ({listed}); {len(BOMBS)} that want time, memory or stack")


ALL_BOMBS = [
    pytest.param(name, marks=pytest.mark.smoke if name in QUICK_BOMBS else pytest.mark.long)
    for name in BOMBS
]


@pytest.mark.parametrize("name", ALL_BOMBS)
def test_a_bomb_is_stopped_in_time_and_within_memory(place, name, monkeypatch):
    monkeypatch.setattr(confinement, "GRACE_SECONDS", 0.5)
    start = time.monotonic()
    try:
        query(place.store, BOMBS[name], timeout_s=0.3, memory="200MB")
    except BadInput as error:
        assert len(str(error)) < 2_000
    assert time.monotonic() - start < 20
    assert psutil.Process().memory_info().rss < 4 << 30
    assert query(place.store, "SELECT name FROM corpora").rows == [("news",)]
    assert place.harm() == {}


@pytest.mark.smoke
def test_a_process_that_does_not_stop_is_killed(place, monkeypatch):
    monkeypatch.setattr(confinement, "GRACE_SECONDS", 0.2)
    with pytest.raises(BadInput, match=r"longer than 0\.1 s"):
        query(place.store, BOMBS["doubling CTEs"], timeout_s=0.1)
    assert query(place.store, "SELECT 42").rows == [(42,)]


@pytest.mark.smoke
def test_memory_holds_where_the_database_does_not_count(place):
    with pytest.raises(BadInput, match="more than 100MB of memory"):
        query(place.store, "SELECT length(repeat('x', 4000000000))", memory="100MB")


def test_a_process_that_dies_is_told_and_the_next_query_has_another(place):
    assert query(place.store, "SELECT 1").rows == [(1,)]
    first = confinement.process_id()
    assert query(place.store, "SELECT 1").rows == [(1,)]
    assert confinement.process_id() == first
    psutil.Process(first).kill()
    psutil.Process(first).wait()
    assert query(place.store, "SELECT 2").rows == [(2,)]
    assert confinement.process_id() != first


def test_a_huge_result_is_refused(place, monkeypatch):
    monkeypatch.setattr("calibkit.store.sandbox.MOST_BYTES", 1 << 20)
    with pytest.raises(BadInput, match="more than 1 MiB; group it, or add LIMIT"):
        query(place.store, "SELECT repeat('x', 10000) FROM range(1000)")


CONDITIONS = """
1=1); COPY (SELECT 1) TO '{store}' (USE_TMP_FILE false); --
1=1); DROP TABLE cells; --
1=1; DROP TABLE cells
1=1 UNION SELECT 1
1=1) UNION SELECT content FROM read_text('{secret}') --
) OR (1=1
bits = (SELECT length(content) FROM read_text('{secret}'))
policy = (SELECT content FROM read_text('{secret}'))
EXISTS (FROM '{secret}')
EXISTS (FROM read_csv('{secret}'))
EXISTS (FROM glob('/*'))
EXISTS (FROM '{store}')
(WITH x AS (COPY (SELECT 1) TO '{outside}' (USE_TMP_FILE false)) SELECT true FROM x)
(COPY (SELECT 1) TO '{outside}')
bits IN (FROM query('COPY (SELECT 1) TO ''{outside}'' (USE_TMP_FILE false)'))
(SELECT true FROM query_table('{secret}'))
getenv('HOME') <> ''
EXISTS (FROM os)
bits = 4 ORDER BY (SELECT content FROM read_text('{secret}'))
bits = 4 LIMIT 1; ATTACH '{store}' AS again
bits = 4 GROUP BY 1
bits = 4 /* unclosed
bits = 4, COPY (SELECT 1) TO '{outside}'
ATTACH '{outside}' AS other
SET lock_configuration = false
length(repeat('x', 4000000000)) > 0
""".strip().splitlines()
ORDINARY = {
    "bits = 4": [1, 3],
    "bits = 4 -- and no more": [1, 3],
    "bits = 4 /* a comment */ AND policy = 'random'": [1],
    "policy = 'random''; DROP TABLE cells; --'": [],
    "bits = (SELECT max(bits) FROM cells)": [0, 2],
    "policy LIKE 'k%'": [2, 3],
}
RECORDS = [{"policy": p, "bits": b} for p in ("random", "k-center") for b in (8, 4)]
TYPES = {"policy": "VARCHAR", "bits": "BIGINT"}


@pytest.mark.smoke
@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_reaches_nothing_but_its_rows(place, condition):
    with pytest.raises(BadInput, match=r"^--where .*SQL condition over policy, bits$") as caught:
        meeting(RECORDS, TYPES, place.written(condition), "--where")
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert place.harm() == {}


@pytest.mark.smoke
@pytest.mark.parametrize("condition", ORDINARY)
def test_an_ordinary_condition_finds_its_rows(place, condition):
    assert meeting(RECORDS, TYPES, condition, "--where") == ORDINARY[condition]
    assert place.harm() == {}


def test_a_condition_is_stopped(place, monkeypatch):
    monkeypatch.setattr("calibkit.store.conditions.TIMEOUT_S", 0.3)
    with pytest.raises(BadInput, match="it takes longer than"):
        meeting(RECORDS, TYPES, "(SELECT count(*) FROM range(1000000000000000)) > 0", "--where")
