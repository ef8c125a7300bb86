"""Distillation: a quantized network is trained to say what its float network says.

All weights and biases at once, with the quantizers' scales frozen; float weights stand behind the
codes, and gradients pass the quantizers straight through, as in quantization-aware training (Jacob
et al., "Quantization and training of neural networks for efficient integer-arithmetic-only
inference", 2018). The targets are the outputs of the float network and not labels (Hinton, Vinyals
& Dean, "Distilling the knowledge in a neural network", 2015), which is its own teacher (Polino,
Pascanu & Alistarh, "Model compression via distillation and quantization", 2018). So calibration
documents are all that it needs; but it needs the float weights, and the time of training.

What is lowered is the Kullback-Leibler divergence of the student's outputs from the teacher's:
label distributions of a discriminative model, the distribution of every next word under a label of
a generative one. Not that of its label scores: these are two or a few numbers a document, of which
a subset has too few to tell two million weights by, and they leave the likelihoods free to drift
off together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from calibkit.engine.batches import Batch, batches, canonical_order, make_batch
from calibkit.engine.float_pass import FloatModel
from calibkit.engine.integer_state import IntegerState, refuse_dynamic
from calibkit.engine.recurrence import FastStraightThrough
from calibkit.engine.word_divergence import Words, word_divergence
from calibkit.errors import BadInput
from calibkit.identity import keyed_generator, sha256_hex
from calibkit.models.training import one_thread
from calibkit.quantize.networks import Arrays, linear_name
from calibkit.quantize.schemes import Scheme
from calibkit.ragged import Ragged

CLIP = 1.0
"""The largest norm of a gradient, as in the training of the float models."""


@dataclass(frozen=True)
class Course:
    """How long a network is trained, and how fast.

    steps: of gradients, or the few more that complete the last pass over the documents; the same
    for small and large subsets, so that a subset's size decides what is seen and not how long.
    batch: documents a step. tokens: positions a step of a generative model, drawn from those of its
    documents, whose next words are compared. rate: of Adam, for weights, in units of the mean step
    of their codes: what a weight can move by at first. bias_rate: for biases, as they are. Both
    fall to 0 in a straight line, so that codes come to rest.
    """

    steps: int
    batch: int
    tokens: int = 256
    rate: float = 0.03
    bias_rate: float = 1e-3

    def passes(self, documents: int) -> int:
        """Return how often every document is seen."""
        return -(-self.steps // self.steps_of(documents))

    def steps_of(self, documents: int) -> int:
        """Return the steps of one pass."""
        return -(-documents // self.batch)


COURSES = {
    "discriminative": Course(steps=300, batch=32),
    "generative": Course(steps=100, batch=16),
}
"""Model kind -> what `calibkit.engine.calibrate.calibrate` does for rounding ``distill``.

Chosen on valid text, in some ten minutes of one core: AG News of 15,000 training documents, 128 or
256 calibration documents, brevitas-default at 4 bits and robust at 3; three discriminative models
and one generative one. The rate is a compromise. Where nearest rounding leaves a discriminative
model all but dead, .02 mended the least (71 of 88 points; 78 at .03); where it costs next to
nothing, .03 lost .4 points more and .05 up to 1.6. The generative model hardly cares: .02 and .05
differ by .4 nats of a document's 185, and twice the steps gain .2 to .6. Left out, since they did
not help under both presets: a temperature of 3, and the squared error of the hidden states beside
the divergence of the outputs. What it gains stands in README.md; mostly, it is not worth its time.
"""


def distill(
    state: IntegerState,
    arrays: Arrays,
    scheme: Scheme,
    subset: Ragged,
    course: Course | None = None,
) -> IntegerState:
    """Return the state with codes and biases trained on ``subset`` towards the float model.

    state: with codes rounded to nearest, behind which the float weights start; arrays: the float
    model's. What is drawn is drawn from the documents' content, and everything is computed on one
    thread: the same documents give the same codes on one machine, in whatever order they come. On
    another sort of processor float32 sums differ in their last bits, and training makes other
    codes of that. Words of the vocabulary that no document has keep their codes in the embedding.
    Raises BadInput for no documents and for a dynamic scheme.
    """
    refuse_dynamic(scheme)
    if not len(subset):
        raise BadInput("the subset is empty; distillation needs at least one document")
    course = course or COURSES[state.kind]
    with torch.inference_mode(mode=False), torch.enable_grad(), one_thread():
        network = FastStraightThrough(state, arrays, scheme)
        teacher = Teacher(state.kind, arrays, subset)
        adam = _adam(network, course)
        most = course.passes(len(subset)) * course.steps_of(len(subset))
        slower = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: 1 - step / most)
        for step in _steps(subset, course, teacher):
            adam.zero_grad(set_to_none=True)
            _loss(network, teacher, step).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            adam.step()
            slower.step()
        codes = {site: network.codes(site).numpy() for site in state.codes}
        biases = {site: bias.detach().numpy().copy() for site, bias in network.biases.items()}
    return state.with_codes(codes, biases)


def _adam(network: FastStraightThrough, course: Course) -> torch.optim.Adam:
    groups = [
        {"params": [weight], "lr": course.rate * float(network.scales[site].mean())}
        for site, weight in network.weights.items()
    ]
    groups.append({"params": [*network.biases.values()], "lr": course.bias_rate})
    return torch.optim.Adam(groups, fused=True)


class Teacher:
    """What the float network says of a subset's documents, computed once.

    labels: how many there are. logits: a classifier's (n, labels), in the subset's order. Of a
    generative model: hidden (tokens, hidden) of the subset's tokens one after the other, the last
    ones' 0; weight (words, hidden), what its decoder reads these with; biases (labels, words), what
    is the same at every position.
    """

    def __init__(self, kind: str, arrays: Arrays, subset: Ragged) -> None:
        model, last = FloatModel.of(kind, arrays), linear_name(kind)
        weight, bias = (torch.tensor(arrays[f"{last}.{part}"]) for part in ("weight", "bias"))
        vectors, width = model.label_vectors, model.hidden_weight.shape[1]
        self.generative = vectors is not None
        self.labels = len(weight) if vectors is None else len(vectors)
        self.starts = torch.from_numpy(subset.offsets[:-1].astype(np.int64))
        self.hidden = torch.zeros(len(subset.ids) if self.generative else 0, width)
        self.logits = torch.zeros(0 if self.generative else len(subset), self.labels)
        for one in batches(subset, drop_last=self.generative):
            packed = model.hidden(one)
            if self.generative:
                self.hidden[self._places(one)] = packed
            else:
                self.logits[torch.from_numpy(one.rows)] = one.mean(packed) @ weight.T + bias
        if vectors is not None:
            self.biases = vectors @ weight[:, width:].T + bias
            self.weight = weight[:, :width].contiguous()

    def words(self, batch: Batch, places: Tensor) -> Words:
        """Return where a generative model's words at some of a batch's positions come from."""
        return Words(self.hidden[self._places(batch)[places]], self.weight, self.biases)

    def _places(self, one: Batch) -> Tensor:
        """Return the places of a batch's packed positions among the subset's tokens."""
        starts = self.starts[torch.from_numpy(one.rows)]
        return starts[one.documents] + one.positions % one.ids.shape[1]


@dataclass(frozen=True)
class _Step:
    """Documents, and of a generative model places and labels of the positions to compare."""

    batch: Batch
    places: Tensor
    labels: Tensor


def _steps(subset: Ragged, course: Course, teacher: Teacher) -> Iterator[_Step]:
    """Yield all steps: whole passes, shuffled anew each time.

    A generative model says its words under a label. A document's first one is drawn; at each pass
    it gets the next one.
    """
    order = canonical_order(subset)
    draw = keyed_generator(0, "distill", sha256_hex(subset.take(order).ids.tobytes()))
    first = draw.integers(teacher.labels, size=len(order))
    for number in range(course.passes(len(order))):
        shuffled = draw.permutation(len(order))
        for start in range(0, len(order), course.batch):
            chosen = np.sort(shuffled[start : start + course.batch])  # longest first
            one = make_batch(subset, order[chosen], drop_last=teacher.generative)
            places = draw.permutation(one.total if teacher.generative else 0)[: course.tokens]
            labels = (first[chosen] + number) % teacher.labels
            own = labels[one.documents.numpy()[places]]
            by_label = np.argsort(own, kind="stable")
            yield _Step(one, torch.from_numpy(places[by_label]), torch.from_numpy(own[by_label]))


def _loss(network: FastStraightThrough, teacher: Teacher, step: _Step) -> Tensor:
    """Return the mean divergence of a step's documents, or of its tokens."""
    one = step.batch
    if teacher.generative:
        counts = torch.bincount(step.labels).tolist()
        groups = tuple((label, count) for label, count in enumerate(counts) if count)
        read = network.decoder_input(network.states(one)[step.places])
        student = Words(read, *network.decoder())
        return word_divergence(teacher.words(one, step.places), student, groups) / len(step.places)
    return F.kl_div(
        F.log_softmax(network.classify(one), dim=1),
        F.log_softmax(teacher.logits[torch.from_numpy(one.rows)], dim=1),
        reduction="batchmean",
        log_target=True,
    )
