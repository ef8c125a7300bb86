import numpy as np
import pytest
import torch
import torch.nn.functional as F

from calibkit.models.likelihood import grouped_token_loss, label_token_log_probs


def problem(tokens, *, scale=1.0, vocabulary=50, labels=4, hidden=6):
    g = torch.Generator().manual_seed(0)
    states = torch.randn(tokens, hidden, generator=g, dtype=torch.float64)
    weight = torch.randn(vocabulary, hidden, generator=g, dtype=torch.float64)
    biases = torch.randn(labels, vocabulary, generator=g, dtype=torch.float64) * scale
    targets = torch.randint(0, vocabulary, (tokens,), generator=g)
    return states, weight, biases, targets


# 700 tokens are more than one block; label 1 is absent, label 3 fills more than one block
GROUPS = ((0, 200), (2, 100), (3, 400))


def test_the_grouped_loss_and_its_gradients_are_those_of_cross_entropy():
    states, weight, biases, targets = problem(700)
    label = torch.repeat_interleave(torch.tensor([0, 2, 3]), torch.tensor([200, 100, 400]))
    inputs = [t.clone().requires_grad_() for t in (states, weight, biases)]
    loss = F.cross_entropy(inputs[0] @ inputs[1].t() + inputs[2][label], targets, reduction="sum")
    (loss * 0.5).backward()
    ours = [t.clone().requires_grad_() for t in (states, weight, biases)]
    found = grouped_token_loss(*ours, targets, GROUPS)
    (found * 0.5).backward()
    assert found.item() == pytest.approx(loss.item(), rel=1e-12)
    for a, b in zip(ours, inputs, strict=True):
        assert torch.allclose(a.grad, b.grad, rtol=1e-9, atol=1e-12)
    assert not ours[2].grad[1].any()


def test_large_logits_do_not_overflow():
    states, weight, biases, targets = problem(700)
    found = grouped_token_loss(
        states.float() * 100, weight.float() * 10, biases.float(), targets, GROUPS
    )
    assert torch.isfinite(found)


@pytest.mark.parametrize("scale", [1.0, 40.0])  # within and beyond the safe spread of the biases
def test_log_probs_under_every_label_are_those_of_a_log_softmax_each(scale):
    states, weight, biases, targets = problem(700, scale=scale)
    found = label_token_log_probs(states.float(), weight.float(), biases.float(), targets)
    for label in range(4):
        logits = states @ weight.t() + biases[label]
        expected = logits.log_softmax(1).gather(1, targets[:, None])[:, 0]
        assert np.allclose(found[:, label], expected, rtol=1e-4, atol=2e-4)
