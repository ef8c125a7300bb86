"""Calibration without data: the generative classifier writes its own documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from calibkit.policies.draw import Draw
from calibkit.policies.generators import Generator, NewDocument, Source
from calibkit.policies.pool import Pool
from calibkit.policies.turns import in_turn


class SelfCalibration(Generator, name="self-calibration"):
    """Let the generative float model write documents, label by label, and calibrate with them.

    Williams, Chrysostomou & Aletras, "Self-calibration for language model quantization and
    pruning" (arXiv 2410.17170, 2024); here the model is class-conditional, so that the labels are
    what is asked for. Tokens are drawn one after the other from what the model expects next. Of
    the pool, only the names of the labels are used.

    ``temperature``: the logits are divided by it; below 1 likelier texts are written. ``top_p``:
    only tokens of the nucleus are drawn (Holtzman et al., 2020). ``mix``: ``equal`` shares of the
    labels, in turn, or the shares of the model's ``prior``. A document depends on the model, its
    label, how many of that label come before it, and the seed. Discriminative models cannot write:
    for their cells, a recipe's generative model of the same seed does.
    """

    nested: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("writer",)

    temperature: Annotated[float, Field(gt=0, le=100)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    mix: Literal["equal", "prior"] = "equal"

    def documents(self, pool: Pool, size: int, draw: Draw, source: Source) -> Sequence[NewDocument]:
        """Return the documents; a larger draw begins with a smaller one."""
        shares = dict.fromkeys(pool.label_names, 1.0)
        if self.mix == "prior":
            prior = source.prior()
            shares = {label: prior[label] for label in pool.label_names}
        labels = in_turn(shares, size)
        seen: Counter[str] = Counter()
        names = []
        for label in labels:
            names.append(f"{label}:{seen[label]}")
            seen[label] += 1
        seeds = draw.about(f"{draw.purpose}-write").seeds(names)
        texts = source.write(labels, seeds, temperature=self.temperature, top_p=self.top_p)
        return [NewDocument(text, label) for text, label in zip(texts, labels, strict=True)]

    def foresee(self, pool: Pool, size: int, draw: Draw) -> str:
        """Return nothing: it writes as many documents as are asked for."""
        super().foresee(pool, size, draw)
        return ""
