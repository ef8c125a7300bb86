import numpy as np
import pytest
import torch

from calibkit.errors import BadInput
from calibkit.models.scoring import Scores, hidden, score, token_nll
from calibkit.ragged import Ragged


@torch.no_grad()
def naive(model, tokens):
    """One document at a time, one decoder run per label, no padding: (log scores, token losses)."""
    rows, losses = [], []
    for i in range(len(tokens)):
        ids = torch.from_numpy(tokens[i].astype(np.int64))[None]
        if model.kind == "discriminative":
            rows.append(model(ids, torch.tensor([ids.shape[1]])).log_softmax(1)[0])
            losses.append(-model.classifier(model.states(ids)).log_softmax(2)[0].T)
        else:
            by_label = []
            for label in range(3):
                log_probs = model(ids, torch.tensor([label])).log_softmax(2)[0]
                by_label.append(log_probs.gather(1, ids[0, 1:, None])[:, 0])
            rows.append(torch.stack([b.double().sum() for b in by_label]) + model.log_prior)
            losses.append(-torch.stack(by_label))
    return torch.stack(rows).numpy(), losses


def test_scores_are_those_of_the_definition(model, validation):
    if model.kind == "generative":
        model.log_prior.copy_(torch.tensor([0.5, 0.3, 0.2]).log())
    expected, _ = naive(model, validation.tokens)
    found = score(model, validation.tokens, batch=7)
    assert np.allclose(found.log_scores, expected, atol=1e-5, rtol=1e-6)
    assert np.array_equal(found.predicted, expected.argmax(1))
    wanted = -expected[np.arange(60), validation.labels]
    assert np.allclose(found.nll(validation.labels), wanted, atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("batch", [1, 5, 256])
def test_batching_and_padding_change_nothing(model, validation, batch):
    found, whole = score(model, validation.tokens, batch=batch), score(model, validation.tokens)
    assert np.abs(found.log_scores - whole.log_scores).max() < 1e-5
    assert found.mean_abs_h == pytest.approx(whole.mean_abs_h, rel=1e-5)
    assert np.allclose(
        hidden(model, validation.tokens, batch=batch), hidden(model, validation.tokens), atol=1e-6
    )


def test_the_order_of_documents_is_that_of_the_input(model, validation):
    order = np.random.default_rng(2).permutation(60)
    mixed = score(model, validation.tokens.take(order))
    assert np.allclose(
        mixed.log_scores, score(model, validation.tokens).log_scores[order], atol=1e-5
    )


def test_token_losses_are_flat_in_document_order(model, validation):
    _, losses = naive(model, validation.tokens)
    expected = np.concatenate(
        [loss[label].numpy() for loss, label in zip(losses, validation.labels, strict=True)]
    )
    found = token_nll(model, validation.tokens, validation.labels, batch=7)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-5)
    with pytest.raises(BadInput, match="1 labels for 60 documents"):
        token_nll(model, validation.tokens, np.array([0]))


def test_token_losses_of_a_generative_model_add_up_to_its_scores(learn, validation):
    model = learn("generative", epochs=1).model
    total = token_nll(model, validation.tokens, validation.labels).sum()
    prior = -model.log_prior.numpy()[validation.labels].sum()
    nll = score(model, validation.tokens).nll(validation.labels).sum()
    assert total + prior == pytest.approx(nll, rel=1e-5)


@torch.no_grad()
def test_hidden_states_are_averaged_over_what_is_read(model, validation):
    found = hidden(model, validation.tokens)
    magnitude, read = 0.0, 0
    for i in range(len(validation.tokens)):
        ids = validation.tokens[i] if model.kind == "discriminative" else validation.tokens[i][:-1]
        states = model.states(torch.from_numpy(ids.astype(np.int64))[None])[0]
        assert np.allclose(found[i], states.mean(0), atol=1e-6)
        magnitude += float(states.abs().sum())
        read += states.numel()
    assert found.shape == (60, 12)
    assert score(model, validation.tokens).mean_abs_h == pytest.approx(magnitude / read, rel=1e-5)


def test_scoring_leaves_the_model_in_the_mode_it_was_in_and_uses_no_dropout(model, validation):
    model.dropout.p = 0.5
    model.train()
    first = score(model, validation.tokens)
    assert model.training
    assert np.array_equal(first.log_scores, score(model, validation.tokens).log_scores)


def test_no_documents_give_no_scores(model):
    found = score(model, Ragged.of([]))
    assert found.log_scores.shape == (0, 3)
    assert found.mean_abs_h == 0.0


def test_ties_go_to_the_lowest_label():
    assert Scores(np.array([[1.0, 1.0], [0.0, 2.0]]), 0.0).predicted.tolist() == [0, 1]


def test_token_ids_of_another_vocabulary_are_refused(model):
    with pytest.raises(BadInput, match="the model knows 0 to 39"):
        score(model, Ragged.of([[2, 40, 3]]))
    with pytest.raises(BadInput, match="batch: 0"):
        score(model, Ragged.of([[2, 3]]), batch=0)
