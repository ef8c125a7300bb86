import numpy as np
import pytest
import torch

from calibkit.errors import BadInput, UnknownName
from calibkit.models.checkpoints import from_arrays, load_arrays, model_id, to_arrays
from calibkit.models.scoring import score


def test_a_model_survives_being_arrays(model, validation):
    arrays, config = to_arrays(model)
    assert {a.dtype for a in arrays.values()} == {np.dtype(np.float32)}
    before = torch.random.get_rng_state()
    again = from_arrays(arrays, config)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not again.training
    assert model_id(*to_arrays(again)) == model_id(arrays, config)
    assert np.array_equal(
        score(again, validation.tokens).log_scores, score(model, validation.tokens).log_scores
    )


def test_arrays_are_copies(model):
    arrays, config = to_arrays(model)
    before = model_id(arrays, config)
    with torch.no_grad():
        model.embedding.weight.add_(1)
    assert model_id(arrays, config) == before
    again = from_arrays(arrays, config)
    arrays["embedding.weight"][:] = 0
    assert model_id(*to_arrays(again)) == before


def test_the_id_depends_on_every_weight_and_on_no_order(model):
    arrays, config = to_arrays(model)
    first = model_id(arrays, config)
    assert first.startswith("m1-")
    assert model_id(dict(reversed(arrays.items())), dict(reversed(config.items()))) == first
    for name, array in arrays.items():
        changed = array.copy()
        changed.flat[-1] = np.nextafter(changed.flat[-1], np.float32(np.inf))
        assert model_id(arrays | {name: changed}, config) != first, name


def test_arrays_that_do_not_fit_are_named(model):
    arrays, config = to_arrays(model)
    with pytest.raises(BadInput, match=r"embedding.weight is \(3, 8\), needed \(40, 8\)"):
        from_arrays(arrays | {"embedding.weight": np.zeros((3, 8), np.float32)}, config)
    with pytest.raises(BadInput, match=r"extra is \(1,\), needed None"):
        load_arrays(model, arrays | {"extra": np.zeros(1, np.float32)})
    with pytest.raises(UnknownName, match="did you mean 'generative'"):
        from_arrays(arrays, config | {"kind": "generativ"})
