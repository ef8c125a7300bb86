"""The dataset card of a subset: what it is, how it was chosen, and under whose licence."""

from __future__ import annotations

import re
from typing import Any

import yaml

from calibkit.export.subset_content import SubsetContent
from calibkit.table import json_text

PUSH = "hf upload YOUR-NAME/DATASET . . --repo-type dataset --private"
"""The line that puts the folder on the Hugging Face hub, run inside of it."""

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))


def card(content: SubsetContent) -> str:
    """Return the README.md of an ``hf-dataset`` export: the hub's header, then what people read."""
    size = len(content.documents)
    header = yaml.safe_dump(
        {
            "pretty_name": f"calibration subset {content.subset_id}",
            "license": "unknown",
            "task_categories": ["text-classification"],
            "tags": ["calibration", "post-training-quantization", "calibkit"],
            "size_categories": [next((name for top, name in _SIZES if size < top), "n>100K")],
            "configs": [
                {
                    "config_name": "default",
                    "data_files": [{"split": "train", "path": "data-*.arrow"}],
                }
            ],
        },
        sort_keys=False,
        allow_unicode=True,
    )
    facts = "\n".join(f"| {name} | {code(value)} |" for name, value in _facts(content))
    return f"""---
{header}---

# Calibration subset {code(content.subset_id)}

{size:,} {"document" if size == 1 else "documents"} for calibrating a quantized text classifier, in
calibration order: `position`, `doc_id`, `label` and `text`. In another order, or with some left
out, it is another subset.

| | |
|---|---|
{facts}

## Use

```python
from datasets import load_from_disk

subset = load_from_disk("PATH/TO/THIS/FOLDER")
```

One line, run in this folder, puts it on the hub, card included; without `--private`, for everybody:

```sh
{PUSH}
```

Then `datasets.load_dataset("YOUR-NAME/DATASET", split="train")` reads it.

## Licence

The documents stay under the licence of the corpus that they are from, which calibkit does not
know. Before you pass them on, make sure that you may, and write that licence into `license:` at the
top of this file.
"""


def _facts(content: SubsetContent) -> list[tuple[str, Any]]:
    told, seen = content.facts(), content.profile or {}
    lengths = [seen.get(name) for name in ("length_p10", "length_p50", "length_p90")]
    found = [
        ("corpus", f"{content.corpus.name}, version {content.corpus.version}"),
        ("corpus id", content.corpus.corpus_id),
        ("policy", told["policy"]),
        ("parameters", told["params"]),
        ("size", told["size"]),
        ("seed", told["seed"]),
        ("pool", told["pool"]),
        ("share of the corpus", told["share"] and f"{told['share']:g}"),
        ("model", told["model_id"]),
        ("hash of the ordered ids", told["ordered_hash"]),
        ("tokens", seen.get("tokens")),
        ("length in tokens: 10 %, median, 90 %", lengths if seen else None),
        (
            "labels",
            {label: rounded(x) for label, x in seen["label_mix"].items()} if seen else None,
        ),
        ("distance of the label mix from the pool's", seen.get("label_total_variation")),
        ("tokens out of vocabulary", seen.get("oov_share")),
        ("types of the vocabulary covered", seen.get("vocabulary_coverage")),
        ("written by calibkit", told["calibkit"]),
    ]
    return [(name, value) for name, value in found if value is not None]


def rounded(value: Any) -> Any:
    """Return a value with its numbers as people want to read them; all of them: subset.json."""
    if isinstance(value, float):
        return float(f"{value:.4g}") if abs(value) < 1000 else round(value)
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return value


def code(value: Any) -> str:
    """Return a value as a code span in a table's cell, whatever characters it has."""
    text = value if isinstance(value, str) else json_text(rounded(value))
    text = " ".join(text.split()).replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"
