"""Multiply-adds of passes, moments, rounding and updates, in closed form.

Counted are products of matrices, which is where the time goes; not counted what costs a few
operations a number (quantizers, nonlinearities, sums, comparisons). The same work costs the same
wherever and by whatever kernel it is done.
"""

from __future__ import annotations

from dataclasses import dataclass

from calibkit.engine.correction import PASSES
from calibkit.engine.distill import COURSES, Course
from calibkit.engine.fine_tune import BATCH
from calibkit.quantize.networks import Arrays
from calibkit.quantize.rounding.problem import FEW
from calibkit.quantize.schemes import Rounding, Scheme
from calibkit.quantize.sites import GATES
from calibkit.ragged import Ragged


@dataclass(frozen=True)
class Work:
    """A model's shapes and the text that goes through it.

    positions: tokens that the LSTM reads, a generative model's last ones left out.
    """

    kind: str
    vocabulary: int
    labels: int
    embedding: int
    hidden: int
    documents: int
    positions: int

    @classmethod
    def of(cls, kind: str, arrays: Arrays, tokens: Ragged) -> Work:
        """Read the shapes from a float model's arrays, the text from token lists."""
        vocabulary, embedding = arrays["embedding.weight"].shape
        generative = kind == "generative"
        labels = len(arrays["label_embedding.weight" if generative else "classifier.weight"])
        hidden = arrays["lstm.weight_hh_l0"].shape[1]
        positions = int(tokens.lengths.sum()) - (len(tokens) if generative else 0)
        return cls(kind, vocabulary, labels, embedding, hidden, len(tokens), positions)

    @property
    def generative(self) -> bool:
        """Whether the model has a decoder."""
        return self.kind == "generative"

    @property
    def gate_shape(self) -> tuple[int, int]:
        """Rows and columns of the four gates, one below the other."""
        return len(GATES) * self.hidden, self.embedding + self.hidden

    @property
    def linear_shape(self) -> tuple[int, int]:
        """Rows and columns of the linear layer."""
        if self.generative:
            return self.vocabulary, 2 * self.hidden
        return self.labels, self.hidden


def states_macs(work: Work) -> int:
    """Return the cost of the hidden states of all positions, float or quantized."""
    rows, columns = work.gate_shape
    return work.positions * rows * columns


def head_macs(work: Work) -> int:
    """Return the cost of label scores from hidden states.

    The decoder's h part is multiplied once, its label part once a label, and one product of
    positions, words and labels sums the likelihoods (`calibkit.models.likelihood`).
    """
    rows, columns = work.linear_shape
    if not work.generative:
        return work.documents * rows * columns
    label_part = work.labels * rows * columns
    return work.positions * rows * (work.hidden + work.labels) + label_part


def gate_gram_macs(work: Work, *, exact: bool = False, passes: int = 2) -> int:
    """Return the cost of the moments of what the gates read.

    passes: the float model's and the quantized network's, or 1 where the former is known.
    """
    columns = work.gate_shape[1]
    return passes * states_macs(work) + (3 if exact else 2) * work.positions * columns**2


def linear_gram_macs(work: Work, *, exact: bool = False, passes: int = 2) -> int:
    """Return the cost of the moments of what the linear layer reads; passes: as above."""
    matrices = 3 if exact else 2
    rows = work.positions if work.generative else work.documents
    labels = matrices * work.labels * work.hidden**2 if work.generative else 0
    return passes * states_macs(work) + matrices * rows * work.hidden**2 + labels


def rounding_macs(method: Rounding, rows: int, columns: int) -> int:
    """Return the cost of one matrix's codes by a rounding method, the moments at hand.

    The triangle of products column by column, for every row; before it, the targets (none for
    gptq); and for the methods with error feedback the factors of the moments, each as columns^3.
    """
    if method == "nearest":
        return 0
    triangle = rows * columns * (columns - 1) // 2
    if method == "gptq":
        return 3 * columns**3 + triangle
    targets = rows * columns**2
    if method == "gpfq":
        return targets + triangle
    return 4 * columns**3 + 2 * targets + triangle  # targets, and their solution


def calibrate_macs(work: Work, scheme: Scheme) -> int:
    """Return the cost of calibrating a float model from scratch on the text.

    The float model's pass counts once, for ranges and all moments, as in an update: whoever counts
    the cost on a device keeps its hidden states, whether the code at hand does or not.
    """
    found = states_macs(work)
    if scheme.distilled:
        return found + distill_macs(work, COURSES[work.kind])
    gates, linear = (scheme.rounding_of(layer) for layer in ("gates", "linear"))
    if gates != "nearest" or scheme.corrects_bias("gates"):
        once = gate_gram_macs(work, passes=1) + rounding_macs(gates, *work.gate_shape)
        found += PASSES * once
    if linear != "nearest" or scheme.corrects_bias("linear"):
        found += linear_gram_macs(work, passes=1) + rounding_macs(linear, *work.linear_shape)
    return found


def slope_macs(rows: int, columns: int, *, labels: int = 0) -> int:
    """Return the cost of every code's slope: the present codes' part, and the float weights'.

    labels: of the decoder, whose moments come in blocks: those of h, and means and labels.
    """
    if not labels:
        return 2 * rows * columns**2
    width = columns // 2
    return 2 * rows * width**2 + 3 * rows * labels * width + 2 * rows * width


def objective_macs(rows: int, columns: int, *, moves: int) -> int:
    """Return the cost of what other codes would add to the objective: a product a moved code."""
    return (moves if moves <= FEW * rows * columns else rows * columns) * columns


def moves_macs(moves: int, columns: int) -> int:
    """Return the cost of greedy moves: each changes its row's slopes."""
    return moves * columns


def error_macs(rows: int, columns: int) -> int:
    """Return the cost of the mean square error of every row's output, the slopes at hand.

    The mixed moments against the present weights, the float inputs' own against the float ones.
    """
    return 2 * rows * columns**2


def predictor_macs(codes: int, widths: tuple[int, ...]) -> int:
    """Return the cost of a small network of the given layer widths, once for every code."""
    return codes * sum(a * b for a, b in zip(widths, widths[1:], strict=False))


def fine_tune_macs(work: Work, *, epochs: int, batch: int = BATCH) -> int:
    """Return the cost of back-propagation: every product forward, and two backward.

    The likelihood of the true label's tokens alone: the decoder's h part once a position, its
    label part once a step of ``batch`` documents.
    """
    rows, columns = work.linear_shape
    if work.generative:
        steps = -(-work.documents // batch)
        head = (work.positions + steps * work.labels) * rows * work.hidden
    else:
        head = work.documents * rows * columns
    return 3 * epochs * (states_macs(work) + head)


def distill_macs(work: Work, course: Course) -> int:
    """Return the cost of distillation, the float model's hidden states at hand.

    Back-propagation through the quantized network, every product forward and two backward; and what
    the float model says, forward alone: its classifier's logits once, its decoder's at every
    position that is compared, since nobody keeps these. Of these the most that there can be: fewer
    are compared where the documents of a step have fewer than it takes.
    """
    passes, (rows, _) = course.passes(work.documents), work.linear_shape
    states = 3 * passes * states_macs(work)
    if not work.generative:
        return states + (3 * passes + 1) * head_macs(work)
    steps = passes * course.steps_of(work.documents)
    compared = min(steps * course.tokens, passes * work.positions)
    label_parts = (3 * steps + 1) * work.labels
    return states + (4 * compared + label_parts) * rows * work.hidden
