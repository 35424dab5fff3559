"""What a run leaves to chance after its first noise; without it all completions are one."""

from __future__ import annotations

from diffview.engine import spec as specs
from diffview.engine.spec import RunSpec
from diffview.errors import InputError
from diffview.models import sampling
from diffview.models.card import ModelCard


def check_completions(spec: RunSpec, card: ModelCard, k: int, n: int) -> None:
    """Raise InputError where `n` completions from step `k` on would all be one."""
    if n == 1:
        return
    same = f"so all {n} completions would be one"
    if not adds_noise(spec, card):
        raise InputError(
            f"sampler '{spec.sampler}' {lacks(spec)} after step {k}, {same}: {instead(spec)}"
        )
    if k == spec.n_steps - 1 and not spec.by_token:
        raise InputError(f"no noise comes in after the last step, {same}: choose an earlier one")


def lacks(spec: RunSpec) -> str:
    """What a run without chance does, in words."""
    return "leaves nothing to chance" if spec.by_token else "adds no noise"


def instead(spec: RunSpec) -> str:
    """What to choose for chance to have a say."""
    if spec.by_token:
        return "choose a temperature above 0, and more tokens than one to draw from"
    return "choose one that does, such as ddpm, euler_ancestral or ddim with eta=1"


def adds_noise(spec: RunSpec, card: ModelCard) -> bool:
    """Whether a run of `spec` leaves anything to chance after its first noise."""
    if spec.by_token:
        return spec.option("temperature") != 0 and spec.option("top_k") != 1
    return "noise_path" not in specs.idle(spec, sampling.facts_of(card))
