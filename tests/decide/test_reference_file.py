"""A file of published numbers: what it says, and that every slip in it is told with its line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.decide.reference import COLUMNS, load_reference, parse_reference
from calibkit.errors import BadInput

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "recipes" / "paper-reference.csv"
GIVEN = ROOT.parent / "shared" / "data" / "paper_reference.csv"
HEADER = "source,corpus,model,calibration_mix,policy,rounding,bits,accuracy"
GOOD = "paper,news,generative,even,stratified,gpfq,4,0.875"


def table(*lines: str) -> str:
    return "\n".join([HEADER, *lines]) + "\n"


def told(text: str) -> list[str]:
    with pytest.raises(BadInput) as caught:
        parse_reference(text, "r.csv")
    return str(caught.value).splitlines()


def test_a_row_is_a_cell():
    (cell,) = parse_reference(f"# a remark\n\n{table(GOOD)}", "r.csv").cells
    assert (cell.source, cell.corpus, cell.model) == ("paper", "news", "generative")
    assert (cell.calibration_mix, cell.policy) == ("even", "stratified")
    assert (cell.rounding, cell.bits, cell.accuracy, cell.line) == ("gpfq", 4, 0.875, 4)
    assert not cell.is_float


def test_columns_may_stand_in_any_order_and_values_in_quotes():
    text = (
        'bits,accuracy,rounding,policy,calibration_mix,model,corpus,source\n4,1,gpfq,,"a, b",m,c,s'
    )
    (cell,) = parse_reference(text, "r.csv").cells
    assert (cell.calibration_mix, cell.policy, cell.source, cell.accuracy) == ("a, b", "", "s", 1.0)


def test_windows_line_ends_and_a_byte_order_mark_are_no_content(tmp_path):
    file = tmp_path / "r.csv"
    file.write_bytes(b"\xef\xbb\xbf" + table(GOOD).replace("\n", "\r\n").encode())
    assert load_reference(file).cells == parse_reference(table(GOOD), "r.csv").cells


def test_a_float_model_belongs_to_its_mix_or_to_all():
    reference = parse_reference(
        table(
            "a,news,m,even,,none,32,0.9",
            "a,news,m,odd,,none,32,0.8",
            "a,news,m,even,x,gpfq,4,0.5",
            "a,news,m,odd,x,nearest,4,0.5",
            "b,news,m,,,none,32,0.7",
            "b,news,m,even,x,gpfq,4,0.5",
            "c,news,m,even,x,gpfq,4,0.5",
        ),
        "r.csv",
    )
    floats = [reference.float_accuracy(cell) for cell in reference.cells if not cell.is_float]
    assert floats == [0.9, 0.8, 0.7, None]


def test_protocols_are_told_by_subject():
    text = (
        "# protocol of paper\n#   corpus: all of it,\n#     and more: of it\n"
        "#   draws: one\n#\n#   corpus: this is a remark\n" + table(GOOD)
    )
    told = parse_reference(text, "r.csv").protocols
    assert told == {"paper": {"corpus": "all of it, and more: of it", "draws": "one"}}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("paper,news,m,even,x,gpfq,4", "7 values; the header has 8 columns"),
        ("paper,news,m,even,x,gpfq,4,0.5,", "9 values; the header has 8 columns"),
        ('paper,news,m,"even,x,gpfq,4,0.5', "this is no line of CSV: unexpected end of data"),
        (",news,m,even,x,gpfq,4,0.5", "source is empty"),
        ("paper,news ,m,even,x,gpfq,4,0.5", "corpus: leave out the blanks around 'news '"),
        ("paper,news,m,even,x,gpfg,4,0.5", "did you mean 'gpfq'?"),
        ("paper,news,m,even,x,gpfq,four,0.5", "bits: 'four' is no whole number from 1 to 32"),
        ("paper,news,m,even,x,gpfq,4.0,0.5", "bits: '4.0' is no whole number from 1 to 32"),
        ("paper,news,m,even,x,gpfq,0,0.5", "bits: '0' is no whole number from 1 to 32"),
        ("paper,news,m,even,x,gpfq,64,0.5", "bits: '64' is no whole number from 1 to 32"),
        ("paper,news,m,even,,gpfq,32,0.5", "32 bits is a float model, whose rounding is none"),
        ("paper,news,m,even,x,none,4,0.5", "32 bits is a float model, whose rounding is none"),
        ("paper,news,m,even,x,none,32,0.5", "policy: nothing calibrates a float model"),
        ("paper,news,m,even,x,gpfq,4,half", "accuracy: 'half' is no number"),
        ("paper,news,m,even,x,gpfq,4,nan", "accuracy: nan is no fraction in [0, 1]"),
        ("paper,news,m,even,x,gpfq,4,-0.1", "accuracy: -0.1 is no fraction in [0, 1]"),
        ("paper,news,m,even,x,gpfq,4,87.5", "no fraction in [0, 1]; divide percent by 100"),
        (GOOD.replace("0.875", "0.8"), "the same cell stands in line 2"),
    ],
)
def test_a_bad_row_is_told_with_its_line(row, problem):
    (line,) = told(table(GOOD, row))
    assert line.startswith("r.csv:3: ") and problem in line


def test_all_problems_are_told_at_once_in_order_and_not_without_end():
    bad = [GOOD.replace("0.875", f"{n}.5") for n in range(1, 40)]
    lines = told(table(*bad))
    assert [line.split(":")[1] for line in lines[:20]] == [str(n) for n in range(2, 22)]
    assert lines[20:] == ["and 19 more"]


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (HEADER.replace("policy", "polcy"), "unknown column 'polcy'; did you mean 'policy'?"),
        (HEADER + ",remark", "unknown column 'remark'; there are source, corpus"),
        (HEADER.removesuffix(",accuracy"), "columns are missing: accuracy"),
        (HEADER + ",bits", "column 'bits' stands here twice"),
    ],
)
def test_a_bad_header_is_told_with_its_line(header, problem):
    lines = told(f"# a remark\n{header}\n{GOOD}\n")
    assert any(line.startswith("r.csv:2: ") and problem in line for line in lines)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no header; it reads source,corpus,"),
        ("# only remarks\n", "no header; it reads source,corpus,"),
        (HEADER + "\n", "no row stands below the header"),
    ],
)
def test_a_file_without_rows_says_nothing(text, problem):
    (line,) = told(text)
    assert problem in line


@pytest.mark.parametrize(
    ("lines", "number", "problem"),
    [
        (["# protocol of papr", "#   corpus: c"], 1, "did you mean 'paper'?"),
        (
            ["# protocol of paper", "#   tokens: t"],
            2,
            "no subject of a protocol is called 'tokens'",
        ),
        (["# protocol of paper", "#   draws: 1", "#   draws: 2"], 3, "'draws' is told twice"),
        (["# protocol of paper", "# corpus: c"], 2, "write '#   SUBJECT: text'"),
        (["# protocol of paper", "#     and more"], 2, "write '#   SUBJECT: text'"),
        (["# protocol of paper", "#", "# protocol of paper"], 3, "a second protocol of 'paper'"),
    ],
)
def test_a_bad_protocol_is_told_with_its_line(lines, number, problem):
    (line,) = told("\n".join([*lines, "#", table(GOOD)]))
    assert line.startswith(f"r.csv:{number}: ") and problem in line


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(BadInput, match=r"none\.csv: cannot be read: No such file"):
        load_reference(tmp_path / "none.csv")
    (tmp_path / "bad.csv").write_bytes(b"source\xff")
    with pytest.raises(BadInput, match=r"bad\.csv: this is no UTF-8 \(byte 7\)"):
        load_reference(tmp_path / "bad.csv")


@given(st.text(max_size=200))
def test_no_text_is_anything_but_a_table_or_a_message(text):
    for whole in (
        text,
        f"{HEADER}\n{text}",
        f"{HEADER}\n{GOOD}\n{text}",
        f"# protocol of p\n{text}",
    ):
        try:
            assert parse_reference(whole, "r.csv").cells
        except BadInput as error:
            assert str(error).startswith("r.csv:")


def test_the_published_numbers_have_their_protocols_and_their_float_models():
    reference = load_reference(PUBLISHED)
    sources = {cell.source for cell in reference.cells}
    assert sources == set(reference.protocols) == {"published-runs-2025", "replication-2026"}
    assert all(reference.protocols[source]["corpus"] for source in sources)
    assert all(reference.float_accuracy(cell) is not None for cell in reference.cells)
    assert all(bool(cell.policy) != cell.is_float for cell in reference.cells)


@pytest.mark.skipif(not GIVEN.exists(), reason="the published table is not beside this project")
def test_no_published_number_is_changed_or_left_out():
    with GIVEN.open() as file:
        given = [
            (
                *(row[name] for name in ("source", "corpus", "model")),
                "" if row["calibration_mix"] == "float" else row["calibration_mix"],
                "none" if row["bits"] == "32" else row["rounding"],
                int(row["bits"]),
                f"{float(row['test_accuracy']):.2f}",
            )
            for row in csv.DictReader(file)
        ]
    ours = [
        (
            c.source,
            c.corpus,
            c.model,
            c.calibration_mix,
            c.rounding,
            c.bits,
            f"{100 * c.accuracy:.2f}",
        )
        for c in load_reference(PUBLISHED).cells
    ]
    assert ours == given
    assert list(COLUMNS) == HEADER.split(",")
