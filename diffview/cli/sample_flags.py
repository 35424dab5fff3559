"""The flags of `diffview sample`: what is run, how, on what, and the help of every option."""

from __future__ import annotations

import argparse

from diffview.cli import arguments, branching, exporting, guiding
from diffview.engine import samplers
from diffview.engine.options import RUN_OPTIONS
from diffview.engine.spec import declared_options
from diffview.models import hf, sampling


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags; the samplers' own options are listed at the end."""
    parser.epilog = _options_help()
    group = parser.add_argument_group("what is run")
    _of_the_model(group)
    guiding.add_arguments(group)
    _of_the_sampler(group)
    _of_the_machine(group)
    branching.add_arguments(parser)
    exporting.add_arguments(parser, required=False)
    parser.add_argument(
        "--session", metavar="FILE", type=arguments.path, help="also save the run, as .dvsession"
    )
    parser.add_argument("--json", action="store_true", help="events on stdout, one object a line")


def _of_the_model(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--model",
        metavar="ID|FILE",
        type=arguments.word,
        help="see 'diffview models' (fashion, or that of --from)",
    )
    group.add_argument(
        "--label",
        metavar="N|NAME",
        type=arguments.word,
        help="the class to draw, by number or name",
    )
    group.add_argument(
        "--prompt", metavar="TEXT", type=str, help="what to draw, for models that take words"
    )
    group.add_argument(
        "--negative-prompt", metavar="TEXT", type=str, help="what guidance steers away from"
    )
    group.add_argument(
        "--guidance",
        metavar="γ",
        type=arguments.number,
        help="0 unconditional, 1 conditional, above 1 guided (the model's own, else "
        f"{sampling.DEFAULTS['guidance']:g}); needs --label or --prompt",
    )


def _of_the_sampler(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--sampler",
        metavar="NAME",
        type=arguments.word,
        help=f"any of {', '.join(samplers.every())}; for models of tokens "
        f"{', '.join(samplers.by_token())} (the model's own)",
    )
    arguments.add_steps(group)
    group.add_argument(
        "--seeds",
        metavar="0-15",
        type=arguments.word,
        help="one sample for each: 7, 0-15 or 1,5,9-12 (0)",
    )
    group.add_argument(
        "--option",
        metavar="NAME=VALUE",
        type=arguments.assignment,
        action="append",
        default=[],
        help="an option of the sampler, listed below; can be repeated",
    )


def _of_the_machine(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--init-noise",
        metavar="FILE",
        type=arguments.path,
        help="a safetensors file whose tensor x (samples, *shape) replaces the seeded start",
    )
    group.add_argument(
        "--device", metavar="NAME", default="auto", help=f"{', '.join(sampling.DEVICES)} (auto)"
    )
    group.add_argument(
        "--dtype",
        metavar="NAME",
        default="auto",
        help=f"of Hugging Face folders, any of {', '.join(hf.DTYPES)} (auto)",
    )
    group.add_argument(
        "--budget",
        metavar="MB",
        type=arguments.megabytes,
        help="memory for the kept steps; fewer are kept where it is short (2147)",
    )


def _options_help() -> str:
    lines = ["options of the samplers, for --option NAME=VALUE:"]
    known = samplers.every() | samplers.by_token()
    for name, info in known.items():
        own = [option.name for option in info.options if option not in RUN_OPTIONS]
        for option in declared_options(name).values():
            if option.name in own or info is next(iter(samplers.every().values())):
                whose = name if option.name in own else "every sampler"
                shown = "none" if option.default == "" else option.default
                lines.append(f"  {option.name} ({whose}): {option.allowed} ({shown})")
                lines.append(f"      {option.help}")
                lines.append(f"      {option.source}")
    lines += ["", "where the samplers come from:"]
    lines += [f"  {info.name}: {info.source}" for info in known.values()]
    return "\n".join(lines)
