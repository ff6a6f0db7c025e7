"""``showme convert``: published checkpoints become models that ``generate --model`` takes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from ..bundle import refuse_foreign, resolve_model
from ..errors import InputError, absent

app = typer.Typer(help="Turn a published checkpoint into a model for --model.", no_args_is_help=True)


@app.command()
def dynamicrafter(
    source: Annotated[Path, typer.Argument(help="model.ckpt as published, or the same as .safetensors.")],
    dest: Annotated[Path, typer.Argument(help="Folder for the model.")],
    size: Annotated[int | None, typer.Option(help="256, 512 or 1024; read from the weights where they say.")] = None,
) -> None:
    """DynamiCrafter-256, -512 or -1024."""
    if size not in (None, 256, 512, 1024):
        raise InputError(f"--size {size}: choose 256, 512 or 1024.")
    if not source.is_file():
        raise InputError(f"{absent(source)}: give the path of the published model.ckpt.")
    refuse_foreign(dest)

    from ..conversion.dynamicrafter_checkpoint import convert_checkpoint

    with _converting(source) as progress:
        convert_checkpoint(source, dest, size, progress)
    _done(dest)


@app.command()
def showme(
    base: Annotated[str, typer.Argument(help="DynamiCrafter-256, as `showme convert dynamicrafter` made it.")],
    source: Annotated[Path, typer.Argument(help="Folder with lora_image.pth and lora_video.pth.")],
    dest: Annotated[Path, typer.Argument(help="Folder for the model.")],
    frames: Annotated[int, typer.Option(min=2, help="12 for SSv2, 16 for EPIC-KITCHENS-100 and Ego4D.")] = 16,
    frame_stride: Annotated[
        int | None, typer.Option(min=1, help="3 for SSv2, 2 for the others; by --frames when not given.")
    ] = None,
) -> None:
    """ShowMe's released LoRA files, on the DynamiCrafter-256 that they were trained on."""
    resolve_model(base)
    refuse_foreign(dest)
    stride = frame_stride or (3 if frames == 12 else 2)
    from ..conversion.showme_checkpoint import convert_showme

    with _converting(source) as progress:
        inert = convert_showme(base, source, dest, frames, stride, progress)
    if inert:
        typer.echo(f"left out, for they are zero: {len(inert)} matrices of layers that stage 1 never ran ({inert[0]}).")
    _done(dest)


@app.command("animate_anything")
def animate_anything(
    source: Annotated[Path, typer.Argument(help="Folder with unet, vae, text_encoder, tokenizer and scheduler.")],
    dest: Annotated[Path, typer.Argument(help="Folder for the model.")],
    size: Annotated[
        int | None,
        typer.Option(min=64, max=2048, help="Height and width of its pictures; the UNet's own else."),
    ] = None,
) -> None:
    """AnimateAnything, or HANDI's weights in the same layout."""
    if not source.is_dir():
        raise InputError(f"{absent(source, 'folder')}: give the folder as it is published.")
    if size is not None and size % 8:
        raise InputError(f"--size {size}: choose a multiple of 8.")
    refuse_foreign(dest)
    from ..conversion.animate_anything_folder import convert_folder

    with _converting(source) as progress:
        convert_folder(source, dest, size, progress)
    _done(dest)


@app.command()
def svd(
    source: Annotated[Path, typer.Argument(help="Folder with unet, vae, image_encoder, feature_extractor, scheduler.")],
    dest: Annotated[Path, typer.Argument(help="Folder for the model.")],
    height: Annotated[int, typer.Option(min=64, max=4096, help="Of its pictures, a multiple of 8.")] = 576,
    width: Annotated[int, typer.Option(min=64, max=4096, help="Of its pictures, a multiple of 8.")] = 1024,
    text_encoder: Annotated[
        Path | None,
        typer.Option(
            help="Folder with CLIP's text encoder and tokenizer, 1024 wide: for AID, which reads instructions."
        ),
    ] = None,
) -> None:
    """Stable Video Diffusion, img2vid or img2vid-xt."""
    if not source.is_dir():
        raise InputError(f"{absent(source, 'folder')}: give the folder as it is published.")
    for name, side in (("--height", height), ("--width", width)):
        if side % 8:
            raise InputError(f"{name} {side}: choose a multiple of 8.")
    if text_encoder is not None and not text_encoder.is_dir():
        raise InputError(f"{absent(text_encoder, 'folder')}: give the folder of CLIP's text encoder.")
    refuse_foreign(dest)
    from ..conversion.svd_folder import convert_folder

    with _converting(source) as progress:
        convert_folder(source, dest, (height, width), text_encoder, progress)
    _done(dest)


@app.command()
def wan(
    source: Annotated[str, typer.Argument(help="Folder as it is published in diffusers' layout, or a hub id.")],
    dest: Annotated[Path, typer.Argument(help="Folder for the model, which names the other and copies nothing of it.")],
    height: Annotated[int, typer.Option(min=16, max=4096, help="Of its pictures.")] = 480,
    width: Annotated[int, typer.Option(min=16, max=4096, help="Of its pictures.")] = 832,
    frames: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Of its videos, 4 n + 1; as its authors run it when left out.")
    ] = None,
) -> None:
    """Wan 2.1 and 2.2, image to video: TI2V-5B, I2V-14B, I2V-A14B; SkyReels-V2-I2V."""
    refuse_foreign(dest)
    from ..conversion.wan_folder import convert_folder

    with _converting(Path(source)) as progress:
        converted = convert_folder(source, dest, (height, width), frames, progress)
    typer.echo(f"{converted.licence}.")
    _done(dest)


@app.command()
def lora(
    source: Annotated[str, typer.Argument(help="A model over Wan, or another tool's LoRA file.")],
    dest: Annotated[Path, typer.Argument(help="File to write, or with --base the folder for the model.")],
    to: Annotated[str | None, typer.Option(help="Write a model's adapter for diffusers or comfyui.")] = None,
    adapter: Annotated[str | None, typer.Option(help="Which, of a model with several.")] = None,
    base: Annotated[str | None, typer.Option(help="Add a LoRA file to this model: fewer steps, for one.")] = None,
    expert: Annotated[
        str | None, typer.Option(help="Of a model with two networks, such as Wan 2.2 A14B: high or low, by the noise.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, max=1000, help="With --base: that it was made for.")] = 4,
    guidance: Annotated[float, typer.Option(min=0, max=100, help="With --base: that it was made for.")] = 1.0,
) -> None:
    """Adapters of Wan to other tools, and theirs to us."""
    if (to is None) == (base is None):
        raise InputError("Say --to diffusers or --to comfyui to write one, or --base MODEL to read one.")
    if expert not in (None, "high", "low"):
        raise InputError(f"--expert {expert!r}: choose high or low.")
    of = cast(Literal["high", "low"] | None, expert)
    if base is not None:
        if not Path(source).is_file():
            raise InputError(f"{absent(source)}: give the LoRA's .safetensors file.")
        refuse_foreign(dest)
        if adapter is not None:
            raise InputError("--adapter says which of a model's is written: leave it out with --base.")
        from ..conversion.lora_files import import_lora

        added = import_lora(Path(source), dest, base, steps, guidance, of)
        for name in added.left_out:
            typer.echo(f"note: the LoRA says nothing of {name}: it was made for another release of Wan.")
        typer.echo(f"note: it is taken as made for {steps} steps at guidance {guidance:g}: --steps and --guidance say.")
        _done(added.asked)
        return
    if to not in ("diffusers", "comfyui"):
        raise InputError(f"--to {to!r}: choose diffusers or comfyui.")
    from ..conversion.lora_files import export_lora

    name = export_lora(source, dest, cast(Literal["diffusers", "comfyui"], to), adapter, of)
    typer.echo(f"wrote: the adapter {name} to {dest}")


@contextlib.contextmanager
def _converting(source: Path) -> Iterator[Callable[[str], None]]:
    """A spinner that names the step; a checkpoint that does not fit becomes one sentence."""
    from rich.console import Console

    from ..errors import ConversionError

    with Console(stderr=True).status("loading") as status:
        try:
            yield status.update
        except ConversionError as error:
            reason = str(error).removeprefix(f"{source} ")
            raise InputError(f"{source} {'' if reason != str(error) else 'cannot be converted: '}{reason}") from error


def _done(folder: Path | str) -> None:
    typer.echo(f'done: showme generate PHOTO "INSTRUCTION" --model {folder}')
