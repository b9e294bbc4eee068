"""Laws of growth: the same function, and crop as the left inverse, for every kind of network."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from grokkit.scheme import InvalidInput
from grokkit.transfer.embed import (
    DecoderBlock,
    Growth,
    LastToken,
    Placement,
    Residual,
    axes,
    check_growth,
    crop,
    crop_inputs,
    embed,
    embed_inputs,
)

SCATTERED = Placement.at(8, 32, (3, 1, 7, 9, 20, 31, 30, 4))
GROWTHS = {
    "mlp": Growth({"input": Placement.at(5, 8, (7, 0, 3, 2, 5)), "0": Placement.copying(6, 11)}, {"3": 2}, 0.5),
    "convolutional": Growth(
        {"input": Placement.at(2, 4, (3, 1)), "0": Placement.front(3, 5), "4": Placement.copying(4, 9)}, {"5": 1}, 0.5
    ),
    "decoder": Growth(
        {"0": SCATTERED, "2.heads": Placement.copying(2, 5), "2.feedforward": Placement.copying(12, 31)}, {"2": 2}, 0.5
    ),
    "rms decoder": Growth({"0": SCATTERED, "2.heads": Placement.front(2, 3)}, {"2": 1}, 0.5),
    "encoder": Growth(
        {"0": SCATTERED, "1.heads": Placement.copying(2, 8), "1.feedforward": Placement.front(12, 13)}, {"1": 1}, 0.5
    ),
    "post-norm encoder": Growth({"0": Placement.copying(8, 24), "1.heads": Placement.copying(2, 6)}, {}, 0.5),
    "residual": Growth({"0": Placement.front(6, 24), "1.body.1": Placement.copying(9, 13)}, {"1": 1}, 0.5),
}


def parameters_equal(one, other):
    theirs = other.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize("name", GROWTHS)
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_every_kind_of_network_keeps_its_function_and_comes_back(make, feed, name, noise):
    growth = Growth(GROWTHS[name].axes, GROWTHS[name].deeper, noise)
    small, inputs = make(name), feed(name)
    large = embed(small, growth)
    dim = 1 if name == "convolutional" else -1
    outputs, expected = large(embed_inputs(inputs, growth, dim)), small(inputs)
    assert torch.allclose(outputs, expected, rtol=1e-9, atol=1e-9)
    assert sum(p.numel() for p in large.parameters()) > sum(p.numel() for p in small.parameters())
    back = crop(large, growth)
    assert parameters_equal(small, back) and torch.equal(back(inputs), expected)
    assert parameters_equal(embed(small, growth), large), "equal growths with equal seeds give equal models"
    small.train(), large.train()
    if name != "convolutional":
        assert torch.allclose(large(embed_inputs(inputs, growth)), small(inputs), rtol=1e-9, atol=1e-9)


@given(data=st.data())
def test_an_mlp_of_any_shape_grown_anyhow_is_found_again(data):
    widths = data.draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    layers: list[nn.Module] = []
    torch.manual_seed(data.draw(st.integers(0, 99)))
    for inputs, outputs in zip(widths, [*widths[1:], 2], strict=True):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    small = nn.Sequential(*layers[:-1])
    chosen, deeper = {}, {}
    for i, width in enumerate(widths):
        target = data.draw(st.integers(width, 2 * width + 2))
        name = "input" if i == 0 else str(2 * (i - 1))
        if i and data.draw(st.booleans()):
            chosen[name] = Placement.copying(width, target)
        else:
            positions = data.draw(st.permutations(range(target)))[:width]
            chosen[name] = Placement.at(width, target, positions)
        if i:
            deeper[str(2 * i - 1)] = data.draw(st.integers(0, 2))
    growth = Growth(chosen, deeper, data.draw(st.sampled_from([0.0, 0.3])), data.draw(st.integers(0, 9)))
    large = embed(small, growth)
    assert parameters_equal(small, crop(large, growth))
    x = torch.randn(9, widths[0])
    assert torch.equal(crop_inputs(embed_inputs(x, growth, fill=5.0), growth), x)
    verdict = check_growth(small, large, growth, x, spectra=False)
    assert verdict.holds and verdict.crop_equal and verdict.projection, str(verdict)


@pytest.mark.parametrize(
    "activation", [nn.ReLU, nn.Tanh, nn.GELU, nn.Sigmoid, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Softplus]
)
@pytest.mark.parametrize("bias", [True, False])
def test_any_elementwise_activation_may_stand_between(activated, activation, bias):
    small = activated(activation, bias)
    growth = Growth({"input": Placement.front(5, 9), "0": Placement.front(6, 9), "2": Placement.copying(4, 7)}, {}, 0.4)
    x = torch.randn(20, 5, dtype=torch.float64)
    assert check_growth(small, embed(small, growth), growth, x).holds


def test_zero_padding_of_inputs_is_exact_to_the_bit_where_sums_are_small_integers():
    small = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    with torch.no_grad():
        for i, parameter in enumerate(small.parameters()):
            parameter.copy_(torch.arange(parameter.numel()).reshape(parameter.shape) - 2 * i)
    growth = Growth({"input": Placement.at(4, 40, (30, 2, 11, 7)), "0": Placement.copying(3, 6)}, {"1": 1})
    found = check_growth(small, embed(small, growth), growth, torch.arange(32.0).reshape(8, 4) - 9)
    assert found.bit_equal and found.difference == 0 and found.padding == 0


def test_depth_alone_is_exact_to_the_bit(make, feed):
    for name, after in (("mlp", "1"), ("convolutional", "2"), ("decoder", "2"), ("encoder", "1"), ("residual", "1")):
        small = make(name, torch.float32)
        growth = Growth(deeper={after: 3})
        found = check_growth(small, embed(small, growth), growth, feed(name, dtype=torch.float32), spectra=False)
        assert found.bit_equal and found.crop_equal, name


def test_a_gain_whose_factor_is_no_power_of_two_comes_back_within_an_ulp(make):
    small = make("decoder", torch.float32)
    growth = Growth({"0": Placement.front(8, 13)})
    back = crop(embed(small, growth), growth)
    for name, value in small.state_dict().items():
        other = back.state_dict()[name]
        ulp = torch.nextafter(value.abs(), torch.tensor(torch.inf)) - value.abs()
        assert ((value - other).abs() <= (ulp if "norm" in name or name == "3.weight" else 0 * ulp)).all(), name
    assert back[3].eps == small[3].eps


def test_noise_gives_every_new_parameter_a_way_to_learn(make, feed):
    """Without noise, new units of a zero-padded layer stay dead; with it, gradients reach them and copies part ways."""
    small, x = make("mlp"), feed("mlp", 64)
    for noise in (0.0, 0.5):
        growth = Growth({"0": Placement.front(6, 9)}, noise=noise)
        large = embed(small, growth)
        large(embed_inputs(x, growth)).square().sum().backward()
        assert bool((large[2].weight.grad[:, 6:].abs().sum(0) > 0).any()) is (noise > 0)
        copied = embed(small, Growth({"0": Placement.copying(6, 12)}, noise=noise))
        copied(x).square().sum().backward()
        assert torch.allclose(copied[0].weight.grad[:6], copied[0].weight.grad[6:]) is (noise == 0)


def test_crop_of_a_grown_model_trained_on_is_a_small_model(make, feed):
    growth = GROWTHS["decoder"]
    large, x = embed(make("decoder", torch.float32), growth), feed("decoder")
    optimizer = torch.optim.SGD(large.parameters(), lr=0.1)
    large(x).square().mean().backward()
    optimizer.step()
    small = crop(large, growth)
    assert small(x).shape == (7, 9) and {k: v.shape for k, v in small.state_dict().items()} == {
        k: v.shape for k, v in make("decoder").state_dict().items()
    }


def test_axes_are_named_by_the_layers_that_write_them(make):
    assert axes(make("mlp")) == {"input": 5, "0": 6, "2": 4}
    assert axes(make("convolutional")) == {"input": 2, "0": 3, "4": 4}
    assert axes(make("decoder")) == {"0": 8, "2.heads": 2, "2.feedforward": 12}
    assert axes(make("encoder")) == {"input": 4, "0": 8, "1.heads": 2, "1.feedforward": 12}


def test_names_and_gradient_flags_of_a_named_sequential_survive(make):
    small = nn.Sequential()
    small.add_module("first", nn.Linear(2, 3))
    small.add_module("act", nn.ReLU())
    small.add_module("last", nn.Linear(3, 1))
    small[0].weight.requires_grad_(False)
    growth = Growth({"first": Placement.front(3, 5)}, {"act": 2})
    large = embed(small, growth)
    assert list(dict(large.named_children())) == ["first", "act", "act_1", "act_2", "last"]
    assert not large[0].weight.requires_grad and parameters_equal(small, crop(large, growth))


def test_depth_at_several_levels_comes_back():
    inner = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    small = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), inner, nn.Linear(4, 1))
    growth = Growth({"2.0": Placement.front(4, 6)}, {"1": 2, "2.1": 3})
    large = embed(small, growth)
    assert len(large) == 6 and len(large[4]) == 5
    x = torch.randn(5, 2)
    assert torch.allclose(large(x), small(x), atol=1e-6) and parameters_equal(small, crop(large, growth))


def softmaxed():
    layer = nn.TransformerEncoderLayer(4, 2, 4, activation=nn.Softmax(-1), batch_first=True)
    return nn.Sequential(nn.Linear(2, 4), layer, nn.Linear(4, 1))


def replaced():
    block = DecoderBlock(4, 2, 4)
    block.activation = nn.Softmax(-1)
    return nn.Sequential(nn.Linear(2, 4), block, nn.Linear(4, 1))


class Own(nn.Module):
    def forward(self, x):
        return x


def tied():
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.ReLU(), layer)


def hooked():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].register_forward_hook(lambda *_: None)
    return model


def spoiled():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight.data[0, 0] = float("nan")
    return model


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Sequential(nn.Linear(2, 2), Own()), r"layer 1 \(Own\): not understood"),
        (nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.GRU(2, 2))), r"layer 1\.0 \(GRU\)"),
        (nn.LSTM(2, 2), r"the whole module\) \(LSTM\)"),
        (nn.Sequential(nn.Conv2d(2, 4, 3, groups=2)), r"layer 0 \(Conv2d\): groups"),
        (nn.Sequential(nn.Conv2d(2, 4, 3), nn.LayerNorm(6)), "norm over places"),
        (nn.Sequential(nn.Conv2d(2, 4, 3), nn.Linear(6, 2)), "only behind Flatten"),
        (nn.Sequential(nn.Linear(2, 4), nn.Flatten(), nn.Linear(8, 2)), r"layer 1 \(Flatten\)"),
        (nn.Sequential(nn.Linear(2, 4), nn.MaxPool1d(2)), "pool over units"),
        (nn.Sequential(nn.Linear(2, 4), nn.LayerNorm((3, 4))), "only norms over the last axis"),
        (nn.Sequential(nn.Linear(2, 4), nn.Linear(3, 4)), "it reads 3 entries of 4 units"),
        (nn.Sequential(Residual(nn.Linear(2, 2))), "raw inputs cannot go around"),
        (nn.Sequential(DecoderBlock(4, 2, 4), LastToken()), "its residual stream must be written"),
        (nn.Sequential(nn.ReLU()), "no layer with parameters"),
        (softmaxed(), r"layer 1 \(TransformerEncoderLayer\): activation Softmax"),
        (replaced(), r"layer 1\.activation \(Softmax\)"),
        (tied(), r"layer 2\.weight: it shares its parameter with 0\.weight"),
        (hooked(), r"layer 1 \(Linear\): it has hooks"),
        (spoiled(), r"parameter 1\.weight has entries that are not finite"),
    ],
)
def test_modules_that_are_not_understood_are_refused_by_name(module, words):
    with pytest.raises(InvalidInput, match=words):
        embed(module, Growth())


@pytest.mark.parametrize(
    ("name", "growth", "words"),
    [
        ("mlp", Growth({"1": Placement.front(6, 8)}), "no axis '1'; this module has input, 0, 2"),
        ("mlp", Growth({"0": Placement.front(5, 8)}), "it has 6 units, the placement's size is 5"),
        ("mlp", Growth({"4": Placement.front(3, 8)}), "cannot grow: it is the output"),
        ("mlp", Growth({"input": Placement.copying(5, 8)}), "inputs are placed once each"),
        ("mlp", Growth(deeper={"0": 1}), r"no identity is known behind layer 0 \(Linear\)"),
        ("mlp", Growth(deeper={"7": 1}), "the module has no layer 7"),
        ("mlp", Growth(deeper={"7.1": 1}), "there is no layer 7"),
        ("encoder", Growth({"0": Placement.front(8, 16)}), "have to grow by the same factor"),
        ("decoder", Growth({"0": Placement(8, (*range(8), 0, -1))}), "every unit once, are exact"),
        ("post-norm encoder", Growth({"0": Placement.front(8, 16)}), "after another norm"),
        ("post-norm encoder", Growth(deeper={"1": 1}), r"behind layer 1 \(TransformerEncoderLayer\)"),
    ],
)  # fmt: skip
def test_growth_that_does_not_fit_is_refused(make, name, growth, words):
    with pytest.raises(InvalidInput, match=words):
        embed(make(name), growth)


def test_crop_refuses_what_the_growth_did_not_make(make):
    small = make("mlp")
    growth = Growth({"0": Placement.front(6, 9)}, {"1": 1})
    with pytest.raises(InvalidInput, match="axis 0: it has 6 units, the placement's target is 9"):
        crop(embed(small, Growth(deeper={"1": 1})), growth)
    with pytest.raises(InvalidInput, match=r"layer 9 .* is not in this module"):
        crop(small, Growth(deeper={"9": 1}))
    with pytest.raises(InvalidInput, match="noise is -1"):
        Growth(noise=-1)
    with pytest.raises(InvalidInput, match="-2 layers after 1"):
        Growth(deeper={"1": -2})


def test_norm_behind_an_activation_takes_copies_only():
    small = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.LayerNorm(4), nn.Linear(4, 2))
    with pytest.raises(InvalidInput, match="comes after an activation"):
        embed(small, Growth({"0": Placement.front(4, 8)}))
    growth = Growth({"0": Placement.copying(4, 8)})
    assert check_growth(small, embed(small, growth), growth, torch.randn(5, 3)).holds


def test_a_growth_is_a_value():
    growth = GROWTHS["mlp"]
    again = pickle.loads(pickle.dumps(growth))  # noqa: S301
    assert again == growth and hash(again) == hash(growth) and copy.deepcopy(growth) == growth
    assert growth != Growth(growth.axes, growth.deeper, growth.noise, seed=1)
    with pytest.raises(TypeError):
        growth.axes["0"] = Placement.front(6, 7)  # type: ignore[index]


def test_a_lone_layer_grows_its_inputs():
    small = nn.Linear(3, 2)
    growth = Growth({"input": Placement.at(3, 5, (4, 1, 0))})
    large = embed(small, growth)
    assert large.in_features == 5 and parameters_equal(small, crop(large, growth))
    assert check_growth(small, large, growth, torch.randn(4, 3)).holds
