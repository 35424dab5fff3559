"""Whether a run begins where its noise is.

x_T is noise and nothing else. The network takes it for x_t of the first level, alpha x_0 + sigma
eps, and where that is more signal than noise it sees a picture of noise and leaves it standing:
spacing leading in one step begins at t = 0. Lin et al. (2023), arXiv 2305.08891, section 3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffview.engine.schedules import Schedule

if TYPE_CHECKING:
    from diffview.engine.spec import RunSpec


def warning(spec: RunSpec, schedule: Schedule) -> str:
    """What to tell of a checked run that begins with more signal than noise; "" of others."""
    if spec.by_token or spec.origin is not None:
        return ""
    first = spec.levels(schedule)[0]
    if first.alpha <= first.sigma:
        return ""
    steps = "1 step" if spec.n_steps == 1 else f"{spec.n_steps} steps"
    verb = "begins" if spec.n_steps == 1 else "begin"
    return (
        f"{steps} of spacing '{spec.spacing}' {verb} at t = {first.t:g}, where x_t is more "
        f"picture (α {first.alpha:.3g}) than noise (σ {first.sigma:.3g}), and x_T is noise "
        "alone: most of it will stay; choose trailing, or more steps"
    )
