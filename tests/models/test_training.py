import numpy as np
import pytest
import torch

from calibkit.errors import BadInput
from calibkit.models.checkpoints import model_id, to_arrays
from calibkit.models.scoring import score
from calibkit.models.settings import settings_from
from calibkit.models.training import train
from calibkit.ragged import Ragged


def identity(trained):
    return model_id(*to_arrays(trained.model))


def test_training_twice_gives_the_same_weights_and_another_seed_others(kind, learn):
    with torch.random.fork_rng(devices=[]):
        first = learn(kind, dropout=0.3)
        torch.rand(3)  # what happened to torch's own generator meanwhile does not matter
        again = learn(kind, dropout=0.3)
    assert identity(first) == identity(again)
    assert [c.keys() for c in first.checkpoints] == [c.keys() for c in again.checkpoints]
    assert identity(learn(kind, dropout=0.3, seed=1)) != identity(first)


def test_the_state_of_torch_is_left_alone(kind, learn):
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    torch.set_num_threads(2)
    try:
        two = identity(learn(kind))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert identity(learn(kind)) == two


def test_both_kinds_learn_labels_that_words_tell_apart(kind, learn, validation):
    trained = learn(kind, epochs=6, dropout=0.0)
    assert score(trained.model, validation.tokens).predicted.tolist() != [0] * 60
    assert trained.epochs[trained.best_epoch - 1].valid_accuracy > 0.85
    assert trained.epochs[-1].train_loss < trained.epochs[0].train_loss
    assert not trained.model.training


def test_the_best_epoch_on_valid_is_the_model(kind, learn, validation):
    seen = []
    trained = learn(kind, epochs=8, learning_rate=0.1, progress=seen.append)
    assert seen == trained.epochs
    assert [r.epoch for r in seen] == list(range(1, 9))
    best = seen[trained.best_epoch - 1]
    if kind == "generative":
        assert best.valid_nll == min(r.valid_nll for r in seen)
        assert trained.best_epoch < 8  # at this rate it overfits
    else:
        assert (-best.valid_accuracy, best.valid_nll) == min(
            (-r.valid_accuracy, r.valid_nll) for r in seen
        )
    scores = score(trained.model, validation.tokens)
    assert (scores.predicted == validation.labels).mean() == pytest.approx(best.valid_accuracy)
    assert scores.nll(validation.labels).mean() == pytest.approx(best.valid_nll, rel=1e-6)
    chosen = trained.checkpoints[trained.checkpoint_epochs.index(trained.best_epoch)]
    arrays = to_arrays(trained.model)[0]
    assert all(np.array_equal(arrays[name], chosen[name]) for name in arrays)


def test_no_more_than_twelve_checkpoints_are_kept(learn):
    trained = learn("discriminative", epochs=30, hidden=2, embedding=2)
    assert len(trained.checkpoints) == len(trained.checkpoint_epochs) == 12
    assert (trained.checkpoint_epochs[0], trained.checkpoint_epochs[-1]) == (1, 30)
    assert learn("discriminative", epochs=3).checkpoint_epochs == (1, 2, 3)


def test_padding_is_never_trained(kind, learn):
    assert not learn(kind).model.embedding.weight[0].any()


def test_the_prior_is_that_of_the_training_labels_or_uniform(training, validation):
    rows = np.flatnonzero((training.labels == 0) | (np.arange(240) % 4 == 0))
    tokens, labels = training.tokens.take(rows), training.labels[rows]
    shares = np.bincount(labels) / len(labels)
    assert np.ptp(shares) > 0.3
    for prior, expected in (("train", shares), ("uniform", np.full(3, 1 / 3))):
        settings = settings_from("generative", {"epochs": 1, "hidden": 4, "prior": prior})
        found = train(settings, tokens, labels, validation.tokens, validation.labels, 3, 40, 0)
        assert np.exp(found.model.log_prior.numpy()) == pytest.approx(expected, rel=1e-6)


@torch.no_grad()
def test_the_reported_generative_loss_is_nats_a_token(learn, training):
    trained = learn("generative", epochs=1, learning_rate=1e-12)
    model, total = trained.model, 0.0
    for i in range(len(training.tokens)):
        ids = torch.from_numpy(training.tokens[i].astype(np.int64))[None]
        log_probs = model(ids, torch.tensor([training.labels[i]])).log_softmax(2)
        total -= float(log_probs[0].gather(1, ids[0, 1:, None]).sum())
    tokens = len(training.tokens.ids) - len(training.tokens)
    assert trained.epochs[0].train_loss == pytest.approx(total / tokens, rel=1e-5)


def test_data_that_cannot_train_a_model_is_refused(training, validation):
    def attempt(tokens, labels, count=3, vocabulary=40, valid=validation):
        train(
            settings_from("discriminative", {"epochs": 1}),
            tokens,
            labels,
            valid.tokens,
            valid.labels,
            count,
            vocabulary,
            0,
        )

    with pytest.raises(BadInput, match="at least 2 labels"):
        attempt(training.tokens, training.labels * 0, count=1)
    with pytest.raises(BadInput, match=r"label 2 \(of 0 to 2\) has no training document"):
        attempt(training.tokens, training.labels % 2)
    with pytest.raises(BadInput, match="training labels run from 0 to 2; allowed are 0 to 1"):
        attempt(training.tokens, training.labels, count=2)
    with pytest.raises(BadInput, match="the model knows 0 to 19"):
        attempt(training.tokens, training.labels, vocabulary=20)
    with pytest.raises(BadInput, match="3 labels for 240 training documents"):
        attempt(training.tokens, training.labels[:3])
    empty = type(validation)(Ragged.of([]), np.zeros(0, int))
    with pytest.raises(BadInput, match="no valid document"):
        attempt(training.tokens, training.labels, valid=empty)


def test_a_generative_model_starts_from_the_frequencies_of_the_words(learn, training):
    start = learn("generative", epochs=1, learning_rate=1e-12).model.decoder.bias.detach().numpy()
    counts = np.bincount(training.tokens.ids, minlength=40)
    words = np.arange(3, 40)  # <eos> and the words; <pad> and <bos> are never predicted
    assert np.array_equal(
        np.argsort(start[words], kind="stable"), np.argsort(counts[words], kind="stable")
    )
    assert start[0] == start[2] == start.min()
    assert np.exp(start).sum() == pytest.approx(1, rel=1e-5)
