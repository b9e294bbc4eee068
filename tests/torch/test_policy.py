import runpy
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grokkit.scheme import InvalidInput
from grokkit.torch import _policy
from grokkit.torch._policy import AUTO, FLOATING, SMALL, Plan, certainly_small, crossovers, planned, promising, wish

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
AS_IT_IS = wish(AUTO, AUTO, None, None)


def levels(side, dtype=torch.float32, device=CUDA, asked=AS_IT_IS):
    plan = planned(asked, (side, side + 5, side + 9), dtype, device)
    return 0 if plan is None else plan.levels


def test_float32_on_cuda_takes_levels_from_the_table():
    assert [levels(side) for side in (64, 8191, 8192, 16383, 16384, 32768, 65536)] == [0, 0, 1, 1, 2, 3, 3]
    assert planned(AS_IT_IS, (8192, 8192, 8192), torch.float32, CUDA) == Plan("winograd", 1, 0)


def test_the_smallest_side_decides():
    for sizes in ((100, 10**6, 10**6), (10**6, 100, 10**6), (10**6, 10**6, 100)):
        assert planned(AS_IT_IS, sizes, torch.float32, CUDA) is None


def test_tensor_float_32_has_too_little_to_gain():
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        assert levels(10**5) == 0
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
    assert levels(10**5) == 3


@given(st.sampled_from([*sorted(FLOATING - {torch.float32}, key=str), torch.int32]), st.integers(1, 10**6))
def test_other_types_and_devices_are_torch_s(dtype, side):
    assert levels(side, dtype) == 0
    for device in ("cpu", "meta", "mps", "xpu"):
        assert levels(side, torch.float32, torch.device(device)) == 0
        assert levels(side, dtype, torch.device(device)) == 0


@given(st.integers(1, 10**6), st.sampled_from(["cpu", "cuda", "meta"]), st.sampled_from(sorted(FLOATING, key=str)))
def test_what_is_asked_for_explicitly_is_done(side, device, dtype):
    device = torch.device(device)
    assert levels(side, dtype, device, wish("strassen", AUTO, None, None)) == 1
    assert levels(side, dtype, device, wish("strassen", 4, None, None)) == 4
    assert levels(side, dtype, device, wish(AUTO, 2, None, None)) == 2
    assert levels(side, dtype, device, wish("strassen", 0, None, None)) == 0
    assert levels(side, torch.int64, device, wish("strassen", 4, None, None)) == 0


@given(st.integers(2**15, 2**18), st.floats(1e-7, 1e-3))
def test_accuracy_caps_the_typical_error(side, accuracy):
    found = levels(side, asked=wish(AUTO, AUTO, None, accuracy))
    growth = _policy.growth_of("winograd")
    assert found == 0 or _policy.typical_error(growth, found, side + 5, torch.float32) <= accuracy
    assert found == 3 or _policy.typical_error(growth, found + 1, side + 5, torch.float32) > accuracy


@pytest.mark.parametrize(("accuracy", "used"), [(None, True), (1e-5, True), (1e-6, True), (9e-7, False)])
def test_accuracy_holds_for_the_native_kernel(accuracy, used, monkeypatch):
    gaining = SimpleNamespace(vendor=False, error_estimate=1e-6)
    monkeypatch.setattr(_policy, "cpu_plan", lambda *sizes_and_type: gaining)
    found = planned(wish(AUTO, AUTO, None, accuracy), (4096,) * 3, torch.float32, CPU)
    assert found == (Plan(AUTO, 0, 0) if used else None)


@given(*[st.integers(1, 2**16)] * 3, st.sampled_from(["cpu", "cuda", "meta", "mps"]), st.sampled_from([AUTO, 0, 2]))
def test_the_quick_answer_is_right_where_it_is_no(n, m, p, device, levels):
    class Operand(torch.Tensor):
        device = torch.device("cpu")

    asked, a = wish(AUTO, levels, None, None), torch.empty(n, m, device="meta").as_subclass(Operand)
    Operand.device = torch.device(device)
    if not promising(asked, a):
        assert planned(asked, (n, m, p), torch.float32, torch.device(device)) is None
    assert promising(asked, a) or levels == AUTO


@given(*[st.integers(0, 4000)] * 3)
def test_what_is_certainly_small_is_torch_s(n, m, p):
    """However well the kernel does: a plan that always gains is not asked for such products."""
    a, b = torch.empty(1).expand(n, m), torch.empty(1).expand(m, p)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_policy, "cpu_plan", lambda *sizes_and_type: SimpleNamespace(vendor=False))
        plan = planned(AS_IT_IS, (n, m, p), torch.float32, CPU)
    assert certainly_small(a, b) == (plan is None and m > 0)
    assert plan is None or not promising(AS_IT_IS, a) or n * m * m * p >= SMALL
    assert not certainly_small(a.to("meta"), b) and not certainly_small(a.tolist() if a.numel() < 99 else None, b)


def test_the_quick_answer_for_what_is_no_matrix():
    assert not any(promising(AS_IT_IS, x) for x in (None, [1.0], torch.ones(10**4), torch.ones(255, 255)))
    assert promising(AS_IT_IS, torch.ones(1, 256))
    assert promising(wish("strassen", AUTO, None, None), None)


def test_the_environment_sets_crossovers(monkeypatch):
    defaults = {torch.float32: 8192}
    assert crossovers("", defaults) == defaults
    assert crossovers(" off ", defaults) == {}
    assert crossovers("float32=6144, float64=100,", defaults) == {torch.float32: 6144, torch.float64: 100}
    monkeypatch.setattr(_policy, "CROSSOVERS", crossovers("bfloat16=1000", defaults))
    assert levels(1000, torch.bfloat16) == 1
    for text in ("float32", "float32=", "float32=0", "float32=-1", "int8=5", "on"):
        with pytest.raises(InvalidInput, match=r"GROKKIT_TORCH_CROSSOVER: .* is not understood"):
            crossovers(text, defaults)


def test_the_environment_is_read_on_import(monkeypatch):
    monkeypatch.setenv("GROKKIT_TORCH_CROSSOVER", "float64=4096")
    assert runpy.run_path(_policy.__file__)["CROSSOVERS"] == {torch.float32: 8192, torch.float64: 4096}
