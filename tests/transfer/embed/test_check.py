"""The checker: what it measures is right, and it is not fooled."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from grokkit.scheme import InvalidInput
from grokkit.transfer.embed import Growth, Placement, check_growth, embed, embed_inputs, enclose

KINDS = ("mlp", "convolutional", "decoder", "rms decoder", "encoder", "post-norm encoder", "residual")
GROWN = {
    "mlp": {"input": Placement.front(5, 9), "0": Placement.front(6, 20)},
    "convolutional": {"input": Placement.front(2, 5), "0": Placement.front(3, 6)},
    "decoder": {"0": Placement.front(8, 11), "2.heads": Placement.front(2, 3)},
    "rms decoder": {"0": Placement.front(8, 11), "2.feedforward": Placement.front(12, 13)},
    "encoder": {"input": Placement.front(4, 5), "0": Placement.front(8, 12), "1.heads": Placement.front(2, 3)},
    "post-norm encoder": {"0": Placement.copying(8, 16), "1.heads": Placement.copying(2, 4)},
    "residual": {"0": Placement.front(6, 7), "1.body.1": Placement.front(9, 11)},
}


@pytest.mark.parametrize("name", KINDS)
def test_the_bound_encloses_float32_and_is_not_idle(make, feed, name):
    """The float32 output lies within the radius of the float64 one, and the radius is within reason."""
    single = make(name, torch.float32)
    inputs = feed(name, 64, torch.float32)
    double = copy.deepcopy(single).double().requires_grad_(False)
    for layer in double.modules():
        if isinstance(layer, nn.RMSNorm):
            layer.eps = torch.finfo(torch.float32).eps
    exact = double(inputs.double() if inputs.is_floating_point() else inputs)
    enclosed = enclose(single, inputs)
    assert torch.allclose(enclosed.values, exact, rtol=1e-10, atol=1e-10), "the bound walks the same network"
    error = (single.requires_grad_(False)(inputs).double() - exact).abs()
    assert bool((error <= enclosed.radii).all())
    assert float(error.max()) > 0
    fine = enclose(double, inputs.double() if inputs.is_floating_point() else inputs).radii.max()
    assert float(fine) < 1e-9 * float(exact.abs().max())


@pytest.mark.parametrize("name", KINDS)
def test_growth_holds_in_float64(make, feed, name):
    growth = Growth(GROWN[name], noise=0.3)
    small = make(name)
    found = check_growth(small, embed(small, growth), growth, [feed(name), feed(name, seed=2)])
    assert found.verdict == "holds" and found.projection and found.samples == 14, str(found)
    assert found.difference <= found.bound < 1e-6
    assert (found.padding is None) is ("input" not in growth.axes)
    assert "conservation holds on 14 samples" in str(found)


@pytest.mark.parametrize("name", KINDS)
def test_any_change_of_an_old_parameter_is_found(make, feed, name):
    growth = Growth(GROWN[name])
    small = make(name)
    large = embed(small, growth)
    with torch.no_grad():
        large[0].weight[0, 0] += 1e-3
        large[0].weight[1, 1] += 1e-3
        large[0].weight[4 if name == "decoder" else 0, 1] += 1e-3
    found = check_growth(small, large, growth, feed(name))
    assert found.verdict == "fails" and not found.crop_equal and not found.crop_within
    assert "FAILS" in str(found)


def test_weights_on_new_inputs_are_found_though_crop_does_not_see_them(make, feed):
    growth = Growth({"input": Placement.front(5, 7)})
    small = make("mlp")
    large = embed(small, growth)
    with torch.no_grad():
        large[0].weight[:, 6] = 1e-3
    found = check_growth(small, large, growth, feed("mlp"))
    assert found.within and found.crop_equal and not found.padding_within and found.verdict == "fails"


def test_zero_padding_preserves_rank_and_singular_values(make, feed):
    """D3: rank(W') = rank(W), measured on every layer; and it is not so for noise or copies."""
    small = make("mlp")
    axes = {"input": Placement.at(5, 30, (9, 1, 4, 28, 0)), "0": Placement.front(6, 50), "2": Placement.front(4, 9)}
    plain = Growth(axes)
    found = check_growth(small, embed(small, plain), plain, feed("mlp"))
    assert {path: s.shape for path, s in found.spectra.items()} == {
        "0": ((6, 5), (50, 30)),
        "2": ((4, 6), (9, 50)),
        "4": ((3, 4), (3, 9)),
    }
    assert all(s.preserved and s.rank[0] == min(s.shape[0]) for s in found.spectra.values())
    noisy = Growth(axes, noise=1.0)
    assert not check_growth(small, embed(small, noisy), noisy, feed("mlp")).spectra["0"].preserved
    copied = Growth({"0": Placement.copying(6, 12)})
    twice = check_growth(small, embed(small, copied), copied, feed("mlp")).spectra["0"]
    assert twice.rank == (5, 5) and abs(twice.difference - (2**0.5 - 1)) < 1e-12


def test_the_map_of_large_models_is_idempotent_though_that_of_one_dimension_to_another_is_not_typed(make):
    """embed ∘ crop squared is embed ∘ crop, on any model of the large shape."""
    growth = Growth({"0": Placement.front(6, 20)})
    small, other = make("mlp"), make("mlp", seed=5)
    found = check_growth(small, embed(other, growth), growth, torch.randn(3, 5, dtype=torch.float64))
    assert found.projection and found.verdict == "fails"


def test_a_bound_that_says_nothing_is_called_so(make, feed):
    small = make("decoder", torch.float32)
    growth = Growth(deeper={"2": 4})
    large = embed(small, growth)
    equal = check_growth(small, large, growth, feed("decoder"), spectra=False)
    assert equal.bit_equal and equal.verdict == "holds"
    wide = Growth({"0": Placement.front(8, 32)}, {"2": 2}, noise=1.0)
    found = check_growth(small, embed(small, wide), wide, feed("decoder"), spectra=False)
    assert found.verdict == "inconclusive" and "float64" in str(found)
    double = copy.deepcopy(small).double()
    assert check_growth(double, embed(double, wide), wide, feed("decoder"), spectra=False).verdict == "holds"


def test_features_that_no_batch_shows_are_told(make, feed):
    small, x = make("mlp"), feed("mlp")
    x[:, [1, 3]] = 0
    found = check_growth(small, embed(small, Growth()), Growth(), x)
    assert found.unseen == (1, 3) and "2 input features were zero" in str(found)


def test_models_are_left_in_the_mode_they_were_in(make, feed):
    small = make("convolutional").train()
    before = copy.deepcopy(small.state_dict())
    check_growth(small, embed(small, Growth()), Growth(), feed("convolutional"))
    assert small.training and all(torch.equal(v, before[k]) for k, v in small.state_dict().items())


def test_input_that_shows_nothing_is_refused(make, feed):
    small = make("mlp")
    with torch.no_grad():
        small[0].weight.fill_(2.0)
    growth = Growth({"input": Placement.front(5, 6)})
    large, x = embed(small, growth), feed("mlp")
    spoiled = x.clone()
    spoiled[2, 1] = float("nan")
    cases = [
        (torch.zeros(4, 5, dtype=torch.float64), "all features are zero"),
        (spoiled, "batch 0: inputs are not finite"),
        ([], "no sample"),
        (x[:0], "no sample"),
        (torch.randn(3, 4, dtype=torch.float64), r"batch 0, small model: inputs of shape \(3, 4\) do not fit"),
        ([x, x[:, :4]], "batch 1: it has 4 features, the one before 5"),
        (torch.full_like(x, 1.7e308), "batch 0, small model: activations of layer 0 are not finite"),
    ]
    for batches, words in cases:
        with pytest.raises(InvalidInput, match=words):
            check_growth(small, large, growth, batches)
    with pytest.raises(InvalidInput, match="axis input: it has 5 units, the placement's target is 6"):
        check_growth(small, small, growth, x)


def test_other_new_inputs_do_not_change_the_output(make, feed):
    growth = Growth({"input": Placement.at(5, 9, (8, 6, 4, 2, 0))})
    small, x = make("mlp"), feed("mlp")
    large = embed(small, growth)
    for fill in (0.0, -3.0, 1e6):
        assert torch.allclose(large(embed_inputs(x, growth, fill=fill)), small(x), rtol=1e-12)


def test_images_that_are_flattened_at_once_can_be_checked_for_growth_within():
    small = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2))
    growth = Growth({"1": Placement.copying(5, 9)})
    found = check_growth(small, embed(small, growth), growth, torch.randn(6, 3, 4))
    assert found.holds and found.unseen == ()
    with pytest.raises(InvalidInput, match="axis input cannot grow: it is flattened"):
        embed(small, Growth({"input": Placement.front(12, 13)}))
