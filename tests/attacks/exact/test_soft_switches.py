"""Mean switches over an ensemble, and the bound on values below the maximum."""

import math

import torch
from tests.support.exact_cases import exact_case, max_pooled, strided
from torch.testing import assert_close

from palimpsest.attacks.exact.soft_switches import below, infer_switches, spread_over


def test_the_spread_is_the_mean_over_the_ensemble() -> None:
    case = exact_case(strided, count=2)
    blocks, inputs = case.chain.blocks, case.inputs(0)
    errors = 0.1 * torch.randn(
        2, 5, *inputs.shape[1:], dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    spread = spread_over(blocks, inputs, errors)
    members = [inputs + errors[:, index] for index in range(5)]
    first = [blocks[0].before_activation(member) for member in members]
    assert_close(spread.switches[0], torch.stack([blocks[0].switches(before) for before in first]).mean(0))
    outputs = torch.stack([blocks[0].forward(member) for member in members]).mean(0)
    assert_close(spread.inputs[1], outputs)
    assert_close(spread.before, blocks[1].before_activation(outputs))
    assert (spread.variance >= spread.nonlinear * 0.5).all()


def test_a_single_block_is_linear_in_the_image() -> None:
    case = exact_case(max_pooled, count=1)
    inputs = case.inputs(0)
    errors = torch.stack([torch.ones_like(inputs), -torch.ones_like(inputs)], 1) * 0.1
    spread = spread_over(case.chain.blocks, inputs, errors)
    assert spread.nonlinear.max() < 1e-10
    assert spread.variance.min() > 1e-6


def test_switches_follow_from_outputs_and_the_proof() -> None:
    case = exact_case(max_pooled, count=3)
    known, inputs, switches = case.known(0)
    noise = 0.3 * torch.randn(
        3, 4, *inputs.shape[1:], dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    spread = spread_over(case.chain.blocks, inputs, noise - noise.mean(1, keepdim=True))
    patches = known.block.patches(inputs)
    right = switches * known.active.unsqueeze(-1)
    alone = (infer_switches(known, spread, patches, torch.zeros(3).double()) - right).abs().sum()
    helped = (infer_switches(known, spread, patches, torch.ones(3).double()) - right).abs().sum()
    assert helped < 0.7 * alone


def test_the_parabola_has_the_slope_and_curvature_of_the_log_probability() -> None:
    values = torch.linspace(-1, 3, 9, dtype=torch.float64, requires_grad=True)
    top, deviation = torch.tensor(1.0).double(), torch.tensor(0.7).double()
    logs = -torch.special.log_ndtr((top - values) / deviation)
    (slope,) = torch.autograd.grad(logs.sum(), values, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), values)
    weight, peak = below(values.detach(), top, deviation)
    assert_close(weight, curvature)
    assert_close(weight * (values.detach() - peak), slope.detach())
    far, _ = below(torch.tensor([-20.0]).double(), top, deviation)
    assert float(far) < 1e-6 * math.pi
