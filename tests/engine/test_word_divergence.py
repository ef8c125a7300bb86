"""Divergences of word distributions in blocks, against the same by torch, written out."""

import pytest
import torch
import torch.nn.functional as F

from calibkit.engine.word_divergence import Words, word_divergence

# 350 tokens are several blocks, of which the last ones are cut; label 1 has none
GROUPS = ((0, 100), (2, 50), (3, 200))
LABELS = torch.repeat_interleave(torch.tensor([0, 2, 3]), torch.tensor([100, 50, 200]))


def words(seed, *, scale=1.0, dtype=torch.float64, width=6):
    g = torch.Generator().manual_seed(seed)
    shapes = ((350, width), (50, width), (4, 50))
    drawn = [torch.randn(shape, generator=g, dtype=torch.float64) for shape in shapes]
    return Words(*((part * scale).to(dtype) for part in drawn))


def logits(one):
    return one.states @ one.weight.T + one.biases[LABELS]


def test_divergence_and_gradients_are_those_of_torch():
    teacher, student = words(0, width=5), words(1)  # hidden states need not be of one width
    inputs = [t.clone().requires_grad_() for t in (student.states, student.weight, student.biases)]
    expected = F.kl_div(
        F.log_softmax(logits(Words(*inputs)), dim=1),
        F.log_softmax(logits(teacher), dim=1),
        reduction="sum",
        log_target=True,
    )
    (expected * 0.5).backward()
    ours = [t.detach().clone().requires_grad_() for t in inputs]
    found = word_divergence(teacher, Words(*ours), GROUPS)
    (found * 0.5).backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    for a, b in zip(ours, inputs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-9, atol=1e-12)
    assert not ours[2].grad[1].any()


def test_who_says_the_same_is_at_no_distance_and_has_no_slope():
    teacher = words(0, dtype=torch.float32)
    ours = [t.clone().requires_grad_() for t in (teacher.states, teacher.weight, teacher.biases)]
    # a constant on all logits changes no distribution
    found = word_divergence(teacher, Words(ours[0], ours[1], ours[2] + 3.0), GROUPS)
    found.backward()
    assert abs(found.item()) < 1e-3
    for one in ours:
        assert float(one.grad.abs().max()) < 1e-4


def test_large_logits_do_not_overflow():
    teacher, student = words(0, scale=30.0, dtype=torch.float32), words(1, scale=30.0)
    student = Words(*(t.float() for t in (student.states, student.weight, student.biases)))
    found = word_divergence(teacher, student, GROUPS)
    expected = F.kl_div(
        F.log_softmax(logits(student), dim=1),
        F.log_softmax(logits(teacher), dim=1),
        reduction="sum",
        log_target=True,
    )
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)
