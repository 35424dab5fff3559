"""Write the README's table of samplers: what each declares, and what is measured of it.

    python packaging/sampler_table.py           # needs the "dev" extra: diffusers is the measure

The order is measured on the probability flow of Gaussian data, whose solution is known; the
difference is to the end of diffusers' own loop in doubles, fed with the same noise, the largest
over N = 1 .. 100 and what the network predicts. Both measures are those of the tests
(tests/engine/samplers/measure.py).
"""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- samplers: written by packaging/sampler_table.py -->", "<!-- end of samplers -->"
HEAD = ("sampler", "name", "order", "order measured", "evaluations of N steps", "off diffusers by")
WITHOUT_NOISE = {
    "ddim": {"eta": 0.0},
    "euler_ancestral": {"eta": 0.0},
    "dpmpp_2m_sde": {"eta": 0.0},
}

sys.path.insert(0, str(ROOT))

from diffview.engine import samplers  # noqa: E402
from diffview.engine.samplers import SamplerInfo  # noqa: E402


def main() -> int:
    """Measure, and put the table between the marks in README.md."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")
    return 0


def table() -> str:
    """The table in Markdown."""
    measure = load_measure()
    rows = [
        (*declared(info), order(measure, info), evaluations(info), difference(measure, info))
        for info in samplers.every().values()
    ]
    return "\n".join(line(row) for row in (HEAD, ("---",) * len(HEAD), *rows))


def line(cells: tuple[str, ...]) -> str:
    """One row."""
    return f"| {' | '.join(cells)} |"


def declared(info: SamplerInfo) -> tuple[str, str, str]:
    """Title, name and order."""
    return info.title, f"`{info.name}`", str(info.order)


def evaluations(info: SamplerInfo) -> str:
    """The declared number of network evaluations as a formula of N."""
    per_step, rest = info.nfe_per_step, info.nfe(100) - 100 * info.nfe_per_step
    return f"{per_step if per_step > 1 else ''}N" + (f" − {-rest}" if rest else "")


def order(measure: ModuleType, info: SamplerInfo) -> str:
    """The measured order; DDPM has no version without noise to measure."""
    if info.name == "ddpm":
        return "–"
    options = WITHOUT_NOISE.get(info.name, {})
    return f"{measure.measured_order(info.name, **options):.2f}" + (" (η = 0)" if options else "")


def difference(measure: ModuleType, info: SamplerInfo) -> str:
    """The difference to diffusers, rounded up to a power of ten."""
    return f"< 1e{math.ceil(math.log10(max(measure.parity(info.name), 1e-15)))}"


def load_measure() -> ModuleType:
    """The measures of the samplers' tests."""
    path = ROOT / "tests" / "engine" / "samplers" / "measure.py"
    spec = importlib.util.spec_from_file_location("sampler_measure", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
