"""AdamW takes the steps that torch's own takes."""

import torch

from diffview.training.adamw import AdamW


def test_steps_are_those_of_torch():
    torch.manual_seed(0)
    mine = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1))
    unused = torch.nn.Parameter(torch.ones(2))
    others = [p.detach().clone().requires_grad_() for p in mine.parameters()]
    ours = AdamW([*mine.parameters(), unused])
    theirs = torch.optim.AdamW(others, betas=(0.9, 0.99))
    for k in range(30):
        x, rate = torch.randn(16, 3), 1e-2 / (k + 1)
        ours.zero_grad()
        mine(x).square().mean().backward()
        for p, q in zip(mine.parameters(), others, strict=True):
            q.grad = p.grad.clone()
        theirs.param_groups[0]["lr"] = rate
        ours.step(rate)
        theirs.step()
    for p, q in zip(mine.parameters(), others, strict=True):
        torch.testing.assert_close(p.data, q.data, rtol=1e-5, atol=1e-7)
    assert (unused == 1).all()
