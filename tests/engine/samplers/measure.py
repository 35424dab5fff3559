"""What the samplers are measured against: textbook loops, diffusers' loops, exact solutions.

Used by the tests beside it and by packaging/sampler_table.py, which writes the README's table.
"""

import functools
import importlib
import itertools
import math
import sys
import types
from contextlib import contextmanager

import numpy as np
import torch

from diffview.engine import conversions, samplers
from diffview.engine.estimate import Estimate
from diffview.engine.levels import CLEAN, NoiseLevel

SHAPE = (2, 5, 1)  # the threshold of diffusers needs three


def standard_normal(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(SHAPE, generator=generator, dtype=torch.float64)


def noise(i):
    """z of step i: any numbers will do, as long as both sides get the same."""
    return standard_normal(1000 + i)


def predicting(prediction):
    """A smooth network f(x, t) that is taken to predict `prediction`, and the denoiser of it."""

    def network(x, t):
        return torch.tanh(0.7 * x + 0.3) * (1 - 0.0005 * float(t)) + 0.1 * x

    def denoise(x_t, level):
        out = network(x_t, level.t)
        if prediction == "flow":
            return Estimate(x_t - level.sigma * out)
        return Estimate(conversions.TO_X0[prediction](x_t, out, level))

    return network, denoise


# Levels of the three families by r = sigma / alpha.

FAMILIES = ("vp", "ve", "flow")


def level_at(family, r):
    t = 999 * r / (1 + r)
    if family == "ve":
        return NoiseLevel(t, 1.0, r)
    scale = 1 / math.hypot(1, r) if family == "vp" else 1 / (1 + r)
    return NoiseLevel(t, scale, r * scale)


def grid(family, n_steps, high=80.0, low=0.02, rho=7.0):
    """N levels as Karras et al. 2022, eq. 5, space them, and CLEAN."""
    share = np.linspace(0, 1, n_steps)
    ratios = (high ** (1 / rho) + share * (low ** (1 / rho) - high ** (1 / rho))) ** rho
    return (*(level_at(family, float(r)) for r in ratios), CLEAN)


def ours(name, denoise, levels, start=None, noise=noise, family=None, **options):
    """All steps of our sampler from `start`."""
    info = samplers.find(name)
    if info.off_grid and family is not None:
        options["at_ratio"] = lambda r: level_at(family, r)
    x = standard_normal(0) if start is None else start
    return list(info.generate(denoise, x, levels, noise, **options))


# Textbook loops, in y = x / alpha over r, as their authors wrote them; each returns all states.


def exploding(denoise, family, levels):
    """D(y, r) of a denoiser, and the r of `levels`."""
    known = {level.sigma / level.alpha: level for level in levels}

    def model(y, r):
        level = known.get(r) or level_at(family, r)
        return denoise(level.alpha * y, level).x0_hat

    return model, list(known)


def k_euler(model, x, sigmas, noise, s_churn=0.0, s_tmin=0.0, s_tmax=math.inf, s_noise=1.0):
    """k-diffusion sample_euler; z of the churn at step i is noise(i)."""
    states = [x]
    for i in range(len(sigmas) - 1):
        gamma = 0.0
        if s_tmin <= sigmas[i] <= s_tmax:
            gamma = min(s_churn / (len(sigmas) - 1), 2**0.5 - 1)
        sigma_hat = sigmas[i] * (gamma + 1)
        if gamma > 0:
            x = x + noise(i) * s_noise * (sigma_hat**2 - sigmas[i] ** 2) ** 0.5
        d = (x - model(x, sigma_hat)) / sigma_hat
        x = x + d * (sigmas[i + 1] - sigma_hat)
        states.append(x)
    return states


def k_euler_ancestral(model, x, sigmas, noise, eta=1.0):
    """k-diffusion sample_euler_ancestral with get_ancestral_step."""
    states = [x]
    for i in range(len(sigmas) - 1):
        a, b = sigmas[i], sigmas[i + 1]
        denoised = model(x, a)
        sigma_up = min(b, eta * (b**2 * (a**2 - b**2) / a**2) ** 0.5)
        sigma_down = (b**2 - sigma_up**2) ** 0.5
        x = x + (x - denoised) / a * (sigma_down - a)
        if b > 0:
            x = x + noise(i) * sigma_up
        states.append(x)
    return states


def k_heun(model, x, sigmas, noise):
    """k-diffusion sample_heun without churn (EDM algorithm 1)."""
    states = [x]
    for i in range(len(sigmas) - 1):
        d = (x - model(x, sigmas[i])) / sigmas[i]
        dt = sigmas[i + 1] - sigmas[i]
        if sigmas[i + 1] == 0:
            x = x + d * dt
        else:
            x_2 = x + d * dt
            d_2 = (x_2 - model(x_2, sigmas[i + 1])) / sigmas[i + 1]
            x = x + (d + d_2) / 2 * dt
        states.append(x)
    return states


def gauss_legendre(f, a, b, nodes=2, **_):
    """The integral of f from a to b, exact for cubics with two nodes; called as scipy's quad."""
    points, weights = (values.tolist() for values in _leggauss(nodes))
    half, middle = (float(b) - float(a)) / 2, (float(a) + float(b)) / 2
    values = (float(f(middle + half * point)) for point in points)
    return half * sum(w * value for w, value in zip(weights, values, strict=True)), 0.0


_leggauss = functools.cache(np.polynomial.legendre.leggauss)


def k_lms(model, x, sigmas, noise, order=4):
    """k-diffusion sample_lms with linear_multistep_coeff."""

    def coefficient(order, t, i, j):
        def fn(tau):
            prod = 1.0
            for k in range(order):
                if j != k:
                    prod *= (tau - t[i - k]) / (t[i - j] - t[i - k])
            return prod

        return gauss_legendre(fn, t[i], t[i + 1])[0]

    states, ds = [x], []
    for i in range(len(sigmas) - 1):
        ds.append((x - model(x, sigmas[i])) / sigmas[i])
        if len(ds) > order:
            ds.pop(0)
        cur_order = min(i + 1, order)
        coeffs = [coefficient(cur_order, sigmas, i, j) for j in range(cur_order)]
        x = x + sum(coeff * d for coeff, d in zip(coeffs, reversed(ds), strict=True))
        states.append(x)
    return states


def k_dpmpp_2m(model, x, sigmas, noise):
    """k-diffusion sample_dpmpp_2m."""
    states, old_denoised = [x], None
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i])
        if sigmas[i + 1] == 0:
            x = denoised
        else:
            t, t_next = -math.log(sigmas[i]), -math.log(sigmas[i + 1])
            h = t_next - t
            denoised_d = denoised
            if old_denoised is not None:
                r = (t + math.log(sigmas[i - 1])) / h
                denoised_d = (1 + 1 / (2 * r)) * denoised - (1 / (2 * r)) * old_denoised
            x = (math.exp(-t_next) / math.exp(-t)) * x - math.expm1(-h) * denoised_d
        old_denoised = denoised
        states.append(x)
    return states


def k_dpmpp_2m_sde(model, x, sigmas, noise, eta=1.0, solver="midpoint"):
    """k-diffusion sample_dpmpp_2m_sde, with independent noise."""
    states, old_denoised, h_last = [x], None, None
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i])
        if sigmas[i + 1] == 0:
            x = denoised
        else:
            h = math.log(sigmas[i]) - math.log(sigmas[i + 1])
            eta_h = eta * h
            full = -math.expm1(-h - eta_h)
            x = sigmas[i + 1] / sigmas[i] * math.exp(-eta_h) * x + full * denoised
            if old_denoised is not None:
                r = h_last / h
                if solver == "heun":
                    x = x + (full / (-h - eta_h) + 1) * (1 / r) * (denoised - old_denoised)
                else:
                    x = x + 0.5 * full * (1 / r) * (denoised - old_denoised)
            if eta:
                x = x + noise(i) * sigmas[i + 1] * (-math.expm1(-2 * eta_h)) ** 0.5
            h_last = h
        old_denoised = denoised
        states.append(x)
    return states


def paper_unipc(model, x, sigmas, noise, order=2):
    """UniPC, algorithms 1 and 2 of the paper with B_2(h), alpha = 1; states are the predicted."""
    n_steps, states, m = len(sigmas) - 1, [x], []
    lam = [-math.log(sigma) if sigma > 0 else math.inf for sigma in sigmas]

    def update(i, p, x, new=None):
        """From sigmas[i] to the next with the estimates m up to m_i; with `new` the corrector."""
        h, m0 = lam[i + 1] - lam[i], m[i]
        rks = [(lam[i - j] - lam[i]) / h for j in range(1, p)]
        d1s = [(m[i - j] - m0) / rk for j, rk in enumerate(rks, 1)]
        if new is not None:
            rks, d1s = [*rks, 1.0], [*d1s, new - m0]
        x_next = sigmas[i + 1] / sigmas[i] * x - math.expm1(-h) * m0
        if not rks:
            return x_next
        if p == (2 if new is None else 1):
            rhos = [0.5]
        else:
            # b_k = k! phi_(k+1)(-h) (-h) / B, the phi as the integrals that define them
            moments = [
                gauss_legendre(lambda u, k=k: math.exp((u - 1) * h) * u**k, 0, 1, nodes=24)[0]
                for k in range(1, len(rks) + 1)
            ]
            matrix = [[r**k for r in rks] for k in range(len(rks))]
            rhos = np.linalg.solve(matrix, np.array(moments) * -h / math.expm1(-h))
        return x_next - math.expm1(-h) * sum(float(r) * d for r, d in zip(rhos, d1s, strict=True))

    p_last, corrected = 0, x
    for i in range(n_steps):
        estimate = model(x, sigmas[i])
        corrected = update(i - 1, p_last, corrected, estimate) if i > 0 else x
        m.append(estimate)
        p_last = min(order, n_steps - i, i + 1)
        x = estimate if sigmas[i + 1] == 0 else update(i, p_last, corrected)
        states.append(x)
    return states


# In z = x / (alpha + sigma) over s = sigma / (alpha + sigma).


def flow_euler(model, z, times, noise):
    """x + (s' - s) v."""
    states = [z]
    for s, s_next in itertools.pairwise(times):
        z = z + (s_next - s) * (z - model(z, s)) / s
        states.append(z)
    return states


def flow_heun(model, z, times, noise):
    """The trapezoidal rule on v; the last step is Euler's."""
    states = [z]
    for s, s_next in itertools.pairwise(times):
        v = (z - model(z, s)) / s
        ahead = z + (s_next - s) * v
        if s_next > 0:
            v = (v + (ahead - model(ahead, s_next)) / s_next) / 2
        z = z + (s_next - s) * v
        states.append(z)
    return states


TEXTBOOK = {
    "euler": k_euler,
    "euler_ancestral": k_euler_ancestral,
    "heun": k_heun,
    "lms": k_lms,
    "dpmpp_2m": k_dpmpp_2m,
    "dpmpp_2m_sde": k_dpmpp_2m_sde,
    "unipc": paper_unipc,
    "flow_euler": flow_euler,
    "flow_heun": flow_heun,
}


def textbook(name, denoise, family, levels, start=None, noise=noise, **options):
    """All states x_t of the textbook's loop over `levels`."""
    x = standard_normal(0) if start is None else start
    flow = name.startswith("flow")

    def scale(level):
        return level.alpha + level.sigma if flow else level.alpha

    def place(level):
        return level.sigma / scale(level)

    known = {place(level): level for level in levels}

    def model(y, r):
        level = known[r] if r in known else level_at(family, r)
        return denoise(scale(level) * y, level).x0_hat

    states = TEXTBOOK[name](model, x / scale(levels[0]), list(known), noise, **options)
    return [scale(level) * state for level, state in zip(levels, states, strict=True)]


# diffusers' schedulers in double precision.


class _Doubled:
    """torch as a scheduler's module sees it, with its casts to float32 made casts to float64."""

    def __getattr__(self, name):
        return torch.float64 if name == "float32" else getattr(torch, name)


MODULES = {
    "ddim": ("scheduling_ddim", "DDIMScheduler"),
    "ddpm": ("scheduling_ddpm", "DDPMScheduler"),
    "euler": ("scheduling_euler_discrete", "EulerDiscreteScheduler"),
    "euler_ancestral": ("scheduling_euler_ancestral_discrete", "EulerAncestralDiscreteScheduler"),
    "heun": ("scheduling_heun_discrete", "HeunDiscreteScheduler"),
    "lms": ("scheduling_lms_discrete", "LMSDiscreteScheduler"),
    "dpmpp_2m": ("scheduling_dpmsolver_multistep", "DPMSolverMultistepScheduler"),
    "dpmpp_2m_sde": ("scheduling_dpmsolver_multistep", "DPMSolverMultistepScheduler"),
    "unipc": ("scheduling_unipc_multistep", "UniPCMultistepScheduler"),
    "flow_euler": ("scheduling_flow_match_euler_discrete", "FlowMatchEulerDiscreteScheduler"),
    "flow_heun": ("scheduling_flow_match_heun_discrete", "FlowMatchHeunDiscreteScheduler"),
}
EXPLODING = ("euler", "euler_ancestral", "heun", "lms")
PREDICTION = {"eps": "epsilon", "x0": "sample", "v": "v_prediction", "flow": "flow_prediction"}


@contextmanager
def double_precision(module):
    """What diffusers casts to or makes in float32 is in float64 meanwhile, its noise is ours."""
    before, default = module.torch, torch.get_default_dtype()
    randn, fresh = getattr(module, "randn_tensor", None), itertools.count()
    module.torch = _Doubled()
    module.randn_tensor = lambda *_, **__: noise(next(fresh))
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        module.torch, module.randn_tensor = before, randn
        torch.set_default_dtype(default)


def _module(file):
    """A scheduler's module; LMS wants scipy for one integral, which is done exactly instead."""
    stand_in = types.ModuleType("scipy")
    stand_in.integrate = types.SimpleNamespace(quad=gauss_legendre)
    lent = file == "scheduling_lms_discrete" and "scipy" not in sys.modules
    if lent:
        sys.modules["scipy"] = stand_in
    try:
        module = importlib.import_module(f"diffusers.schedulers.{file}")
    finally:
        if lent:
            del sys.modules["scipy"]
    if file == "scheduling_lms_discrete":
        module.integrate = stand_in.integrate
    return module


class Theirs:
    """diffusers' loop: its levels, states and x0_hat, in doubles, one entry an evaluation."""

    def __init__(self, name, network, prediction, n_steps, **config):
        file, scheduler = MODULES[name]
        if (name, prediction) == ("euler_ancestral", "x0"):  # which it has not implemented
            network, prediction = self._telling_eps(network), "eps"
        self._module, self._name = _module(file), name
        self._flow = name.startswith("flow_") or prediction == "flow"
        if not name.startswith("flow_"):
            config["prediction_type"] = PREDICTION[prediction]
        self.step_options = config.pop("step_options", {})
        self.scheduler = getattr(self._module, scheduler)(**config)
        self.scheduler.set_timesteps(n_steps)
        if name in ("ddim", "ddpm"):
            self.levels = self._preserving_levels()
        else:
            self.scheduler.sigmas = self.scheduler.sigmas.double()
            self.levels = self._levels()
        self.estimates, self.states = [], []
        with double_precision(self._module):
            self._loop(network)

    def _telling_eps(self, network):
        """A network that predicts x_0 as one of eps: (y - x_0) / sigma, asked at y / root."""

        def telling(inner, t):
            sigma = self.scheduler.sigmas[self.scheduler.step_index]
            return (inner * torch.sqrt(sigma**2 + 1) - network(inner, t)) / sigma

        return telling

    def _levels(self):
        sigmas, times = self.scheduler.sigmas.tolist(), self.scheduler.timesteps.tolist()
        if "heun" in self._name:  # each but the ends is there twice
            sigmas, times = [sigmas[0], *sigmas[1:-1:2], 0.0], [times[0], *times[1::2]]
        if self._flow:
            levels = [NoiseLevel(t, 1 - s, s) for t, s in zip(times, sigmas, strict=False)]
        else:
            ratios = [r / math.sqrt(1 + r * r) for r in sigmas]
            levels = [
                NoiseLevel(t, 1 / math.sqrt(1 + r * r), s)
                for t, r, s in zip(times, sigmas, ratios, strict=False)
            ]
        return (*levels, CLEAN)

    def _preserving_levels(self):
        scheduler, one = self.scheduler, torch.tensor(1.0, dtype=torch.float64)
        scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
        scheduler.final_alpha_cumprod = scheduler.one = one
        acp = scheduler.alphas_cumprod.tolist()
        times = scheduler.timesteps.tolist()
        return (*(NoiseLevel(t, acp[t] ** 0.5, (1 - acp[t]) ** 0.5) for t in times), CLEAN)

    def _loop(self, network):
        scheduler, x = self.scheduler, standard_normal(0)
        if self._name in EXPLODING:
            x = x / self.levels[0].alpha
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(0)  # else a time that is there twice begins at its second
        for t in scheduler.timesteps:
            inner = x
            if self._name in EXPLODING:
                inner = scheduler.scale_model_input(x, t)
            out = scheduler.step(network(inner, float(t)), t, x, **self.step_options)
            x = out.prev_sample
            self.states.append(x)
            self.estimates.append(out.get("pred_original_sample"))
        self.end = x


# Gaussian data: every loop is linear, and the probability flow is known.


def gaussian(mean, std):
    """E[x_0 | x_t] for data N(mean, std^2)."""

    def denoise(x_t, level):
        gain = level.alpha * std**2 / (level.alpha**2 * std**2 + level.sigma**2)
        return Estimate(mean + gain * (x_t - level.alpha * mean))

    return denoise


MEAN, STD = 0.3, 0.5


def flow_error(name, n_steps, past_exact=0, **options):
    """How far N steps of the probability flow end from its exact solution, over the start's std.

    In y = x / alpha it is y = mean + (y_T - mean) sqrt((std^2 + r^2) / (std^2 + r_T^2)). The step
    to r = 0 is left out: its error depends on where it starts, not on N. The first `past_exact`
    steps are given as they should be.
    """
    levels = grid("vp", n_steps + 1, high=157.4073)
    denoise = gaussian(MEAN, STD)

    def exact(level):
        spread = math.hypot(STD * level.alpha, level.sigma)
        return MEAN * level.alpha + spread * torch.linspace(-1, 1, 3, dtype=torch.float64)

    past = [_exact_step(i, levels[i], exact(levels[i]), denoise) for i in range(past_exact)]
    start = exact(levels[past_exact])
    *_, last, _ = ours(name, denoise, levels, start, family="vp", past=past, **options)
    point = last.stages[0].x_t if name == "unipc" else last.x_t
    return ((point - exact(last.level)) / last.level.alpha).abs().max().item()


def _exact_step(i, level, x_t, denoise):
    from diffview.engine.estimate import Step

    return Step(i, level, x_t, denoise(x_t, level))


def measured_order(name, **options):
    """The power of 1 / N by which that error falls, from N = 160 to 320."""
    return math.log2(flow_error(name, 160, **options) / flow_error(name, 320, **options))


DIFFUSERS_CONFIG = {
    "ddim": {"clip_sample": False, "timestep_spacing": "trailing"},
    "ddpm": {"clip_sample": False, "timestep_spacing": "trailing"},
    "dpmpp_2m_sde": {"algorithm_type": "sde-dpmsolver++", "timestep_spacing": "trailing"},
    "flow_euler": {},
    "flow_heun": {},
}


def parity(name, counts=(1, 2, 5, 10, 20, 50, 100)):
    """The largest relative difference to the end of diffusers' loop, over N and predictions."""
    worst = 0.0
    for prediction in ("flow",) if name.startswith("flow_") else ("eps", "x0", "v"):
        network, denoise = predicting(prediction)
        for n_steps in counts:
            config = DIFFUSERS_CONFIG.get(name, {"timestep_spacing": "trailing"})
            theirs = Theirs(name, network, prediction, n_steps, **config)
            end = ours(name, denoise, theirs.levels)[-1].x_t
            scale = max(1.0, theirs.end.abs().max().item())
            worst = max(worst, (end - theirs.end).abs().max().item() / scale)
    return worst
