"""The ladder of kernel sums is what it says, and so is its gradient."""

import torch

from mistdata.estimator.kernels import augmented, kernel_sums


def gaps():
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(2, 5, 9, generator=generator, dtype=torch.float64) for _ in range(2)]


def test_sums_over_the_ladder_are_those_of_the_formula():
    x, y = gaps()
    itself = torch.tensor([[0, 1, 2, 3, 4], [8, 7, 6, 5, 4]])
    found = kernel_sums(x, y, itself, 3)
    for rung in range(3):
        k_x, k_y = (torch.exp(-(4**rung) * gap) for gap in (x, y))
        keep = torch.ones_like(x).scatter(2, itself.unsqueeze(2), 0.0)
        for kind, kernel in enumerate((k_x * k_y, k_x, k_y)):
            torch.testing.assert_close(found[:, kind, rung], (kernel * keep).sum(dim=2))


def test_its_gradient_agrees_with_differences():
    x, y = (gap.requires_grad_(True) for gap in gaps())
    itself = torch.randint(0, 9, (2, 5), generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(lambda a, b: kernel_sums(a, b, itself, 3), (x, y))


def test_augmented_rows_multiply_to_squared_distances():
    rows = torch.randn(3, 7, 4, dtype=torch.float64)
    first, second = augmented(rows)
    torch.testing.assert_close(first @ second.mT, torch.cdist(rows, rows).square())
