"""The weights of one part: found by name, judged by their headers, read into memory.

Nothing is mapped (a mapped file that changes kills the process) and nothing is made up: a tensor
that a network needs and the files lack is an error, where the libraries would fill in noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffview import tensorfile
from diffview.errors import InputError
from diffview.models import reading
from diffview.models.hf.folder import BUILT, Part, read_json
from diffview.models.hf.ldm_names import Stored
from diffview.tensorfile import TensorInfo

if TYPE_CHECKING:
    import torch
    from torch import nn

STEMS = {"diffusers": "diffusion_pytorch_model", "transformers": "model"}
PICKLES = {"diffusers": "diffusion_pytorch_model", "transformers": "pytorch_model"}
VARIANTS = ("", ".fp16", ".bf16")

FRACTIONS = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
}  # fmt: skip
DTYPES = FRACTIONS | {
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
"""What types of numbers are called in files -> in torch."""

IGNORED = ("position_ids", "embeddings.position_ids")
"""Tensors that older versions stored and no network reads: counting from 0."""

RENAMED = (
    (".query.", ".to_q."),
    (".key.", ".to_k."),
    (".value.", ".to_v."),
    (".proj_attn.", ".to_out.0."),
)
"""What attention blocks of pixels and autoencoders were called before 2023 -> now."""


@dataclass(frozen=True)
class Weights:
    """Where every tensor of a part lies; names as the files have them.

    stored says what a network's own tensor is called there, where that is another name.
    """

    files: tuple[Path, ...]
    tensors: Mapping[str, tuple[Path, TensorInfo]]
    notes: tuple[str, ...] = ()
    stored: Callable[[str], Stored] | None = None

    @property
    def parameters(self) -> int:
        """How many numbers they hold."""
        from math import prod

        return sum(prod(info.shape) for _, info in self.tensors.values())


def find(part: Part) -> Weights:
    """The part's weights, headers checked. Raises InputError when there are none to read."""
    if part.inside is not None and part.stored is not None:
        prefix = part.stored("").name
        held = _tensors((part.inside,)).items()
        own = {name: found for name, found in held if name.startswith(prefix)}
        return Weights((part.inside,), own, stored=part.stored)
    stem, notes = STEMS[part.library], []
    for variant in VARIANTS:
        whole = part.file(f"{stem}{variant}.safetensors")
        index = part.file(f"{stem}.safetensors.index{variant}.json")
        if whole.is_file() or index.is_file():
            if variant:
                notes.append(f"{part.name}: only the {variant[1:]} weights are here")
            files = (whole,) if whole.is_file() else _shards(part, index)
            return Weights(files, _tensors(files), tuple(notes))
    found = pickles(part)
    if found:
        whole = part.path.parent
        raise InputError(
            f"{part.path} has its weights as a Python pickle ({found[0].name}), which can run "
            f"code: fetch the .safetensors, or let 'diffview convert {whole}' read the tensors "
            "alone and make a model of them"
        )
    raise InputError(f"{part.path} has no weights: {stem}.safetensors is missing")


def pickles(part: Part) -> tuple[Path, ...]:
    """The part's weights where it has them as Python pickles alone; () where it has others."""
    if part.cls not in BUILT or part.inside is not None:
        return ()
    stem = PICKLES[part.library]
    if any(part.path.glob(f"{STEMS[part.library]}*.safetensors*")):
        return ()
    for variant in VARIANTS:
        whole = part.file(f"{stem}{variant}.bin")
        index = part.file(f"{stem}.bin.index{variant}.json")
        if whole.is_file() or index.is_file():
            return (whole,) if whole.is_file() else _shards(part, index, ".bin")
    return ()


def _shards(part: Part, index: Path, suffix: str = ".safetensors") -> tuple[Path, ...]:
    table = read_json(index).get("weight_map")
    if not isinstance(table, dict) or not all(isinstance(name, str) for name in table.values()):
        raise InputError(f"{index} is damaged: it has no weight_map")
    files = []
    for name in sorted(set(table.values())):
        file = part.file(name)
        if file.suffix != suffix:
            raise InputError(f"{index}: {name} is no {suffix} file")
        if not file.is_file():
            raise InputError(f"{file} is missing: {index.name} names it (fetch the model again)")
        files.append(file)
    return tuple(files)


def _tensors(files: tuple[Path, ...]) -> dict[str, tuple[Path, TensorInfo]]:
    found: dict[str, tuple[Path, TensorInfo]] = {}
    for file in files:
        for name, info in tensorfile.read_header(file).tensors.items():
            if name in found:
                raise InputError(f"{file}: tensor '{name}' is also in {found[name][0].name}")
            found[name] = (file, info)
    return found


def fill(
    module: nn.Module, weights: Weights, where: Path, device: torch.device, dtype: torch.dtype
) -> list[str]:
    """Put the weights into a module whose parameters have no memory yet; returns warnings.

    Raises InputError naming a tensor that is missing or misshapen, before any is read.
    """
    import torch

    sources, warnings = matched(module, weights, where)
    tied, whole = _tied(module), _kept_whole(module, dtype)
    broken = []
    for name, stored in _all_read(sources, where):
        tensor = sources[name].of(stored)
        if not _finite(tensor):
            broken.append(name)
        names = tied.get(name, (name,))
        kept = any(whole & set(alias.split(".")) for alias in names)
        _assign(module, names, tensor, device, torch.float32 if kept else dtype)
    if broken:
        warnings.append(f"{where} holds NaN or infinite values in {_listed(broken)}")
    return warnings


def _kept_whole(module: nn.Module, dtype: torch.dtype) -> set[str]:
    """The layers that overflow as float16, as their library says: T5's `wo`."""
    import torch

    if dtype != torch.float16:
        return set()
    return set(getattr(module, "_keep_in_fp32_modules", None) or ())


def _all_read(sources: Mapping[str, Source], where: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Each name and its stored tensor, file by file."""
    total = sum(source.info.end - source.info.start for source in sources.values())
    with reading.metered(f"the weights of {where.parent.name}/{where.name}", total) as count:
        for file in sorted({source.file for source in sources.values()}):
            own = {name: source for name, source in sources.items() if source.file == file}
            for name, stored in _read(file, own):
                yield name, stored
                count(own[name].info.end - own[name].info.start)


def _read(file: Path, sources: Mapping[str, Source]) -> Iterator[tuple[str, torch.Tensor]]:
    """Each name and its stored tensor. Raises InputError where the file is not what it was."""
    try:
        with file.open("rb") as stream:
            start = 8 + int.from_bytes(stream.read(8), "little")
            for name, source in sources.items():
                stream.seek(start + source.info.start)
                size = source.info.end - source.info.start
                raw = stream.read(size)
                if len(raw) != size:
                    raise InputError(
                        f"{file} became shorter while it was read: tensor '{source.name}' has "
                        f"{len(raw)} of its {size} bytes (fetch the model again)"
                    )
                yield name, _tensor(raw, source.info)
    except (OSError, OverflowError) as error:
        raise InputError(f"{file} cannot be read: {error}") from None


@dataclass(frozen=True, slots=True)
class Source:
    """Where one tensor comes from: all of a stored one, or one of `parts` equal parts of it."""

    file: Path
    info: TensorInfo
    name: str
    part: int = 0
    parts: int = 1
    transposed: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """What is taken of the stored tensor."""
        shape = self.info.shape
        if self.parts > 1:
            shape = (shape[0] // self.parts, *shape[1:])
        return shape[::-1] if self.transposed else shape

    def of(self, stored: torch.Tensor) -> torch.Tensor:
        """The tensor itself."""
        taken = stored.chunk(self.parts)[self.part] if self.parts > 1 else stored
        return taken.T.contiguous() if self.transposed else taken


def matched(
    module: nn.Module, weights: Weights, where: Path
) -> tuple[dict[str, Source], list[str]]:
    """The module's own tensor names -> where they lie, and warnings about what is too many."""
    held_by = module.state_dict()
    expected = {name: tuple(tensor.shape) for name, tensor in held_by.items()}
    kinds = {name: tensor.dtype for name, tensor in held_by.items()}
    tied = _tied(module)
    sources, extra = _sources(expected, weights)
    config = f"{where / 'config.json'}" if where.is_dir() else "the configuration"
    for name, source in sources.items():
        if source.shape != expected[name] and not _same_numbers(source.shape, expected[name]):
            raise InputError(
                f"{source.file}: tensor '{source.name}' has shape {source.info.shape}, {config} "
                f"asks for {expected[name]}: they are not of one model, fetch both again"
            )
        _check_numbers(source, fractions=kinds[name].is_floating_point)
    held = {alias for name in sources for alias in tied.get(name, (name,))}
    missing = sorted(expected.keys() - held)
    if missing:
        raise InputError(f"{where} lacks {_listed(missing)}: fetch the model's weights again")
    warnings = [f"{where} has tensors that its network does not use: {_listed(extra)}"]
    return sources, warnings if extra else []


def _check_numbers(source: Source, *, fractions: bool) -> None:
    """Raise InputError for whole numbers where a network computes with fractions."""
    stored = source.info.dtype
    if stored not in DTYPES or (fractions and stored not in FRACTIONS):
        raise InputError(
            f"{source.file}: tensor '{source.name}' holds numbers of type {stored}, expected is "
            f"one of {', '.join(FRACTIONS)}: such weights are quantised or damaged; fetch the "
            "model's full weights"
        )


def _sources(expected: Mapping[str, Any], weights: Weights) -> tuple[dict[str, Source], list[str]]:
    """Each tensor's source, and the stored names that belong to none."""
    if weights.stored is not None:
        names = {name: weights.stored(name) for name in expected}
        held = {
            name: Source(*weights.tensors[s.name], s.name, s.part, s.parts, s.transposed)
            for name, s in names.items()
            if s.name in weights.tensors
        }
        return held, []  # such a file has much that no network needs
    sources, extra = {}, []
    for stored, (file, info) in weights.tensors.items():
        name = _known_as(stored, expected)
        if name is not None:
            sources[name] = Source(file, info, stored)
        elif not stored.endswith(IGNORED):
            extra.append(stored)
    return sources, extra


def _known_as(stored: str, expected: Mapping[str, Any]) -> str | None:
    """The name a stored tensor has in this version of the libraries; None if it has none."""
    older = stored
    for old, new in RENAMED:
        older = older.replace(old, new)
    # CLIP's text models lost their prefix in transformers 5.
    for name in (stored, older, stored.removeprefix("text_model."), f"text_model.{stored}"):
        if name in expected:
            return name
    return None


def _same_numbers(stored: tuple[int, ...], asked: tuple[int, ...]) -> bool:
    """1x1 convolutions of old files are the matrices of newer networks."""
    return tuple(n for n in stored if n != 1) == tuple(n for n in asked if n != 1)


def _tied(module: nn.Module) -> dict[str, tuple[str, ...]]:
    """Each name of a parameter that has several -> all of its names."""
    groups: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        groups.setdefault(id(parameter), []).append(name)
    declared = getattr(module, "all_tied_weights_keys", None) or {}
    pairs = [(a, b) for a, b in declared.items()] if isinstance(declared, dict) else []
    names = [tuple(group) for group in groups.values() if len(group) > 1]
    return {name: group for group in [*names, *pairs] for name in group}


def _tensor(raw: bytes, info: TensorInfo) -> torch.Tensor:
    import torch

    kind = getattr(torch, DTYPES[info.dtype])
    if not raw:  # nothing can be made of no bytes, so its shape has a 0
        return torch.zeros(info.shape, dtype=kind)
    return torch.frombuffer(bytearray(raw), dtype=kind).reshape(info.shape)


def _finite(tensor: torch.Tensor) -> bool:
    # One sum is NaN or infinite exactly when some value is, weights being far from overflow.
    return not tensor.is_floating_point() or bool(tensor.double().sum().isfinite())


def _assign(
    module: nn.Module,
    names: tuple[str, ...],
    tensor: torch.Tensor,
    device: torch.device,
    dtype: torch.dtype,
) -> None:
    """One tensor under all its names: what is tied takes its memory once."""
    from torch import nn

    value = tensor.to(device, dtype if tensor.is_floating_point() else tensor.dtype)
    parameter = None
    for name in names:
        *path, last = name.split(".")
        owner = module.get_submodule(".".join(path))
        held = getattr(owner, last)
        if not isinstance(held, nn.Parameter):
            setattr(owner, last, value.reshape(held.shape))
            continue
        if parameter is None:
            parameter = nn.Parameter(value.reshape(held.shape), requires_grad=False)
        owner.register_parameter(last, parameter)


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:3])
    return f"tensor {shown}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")
