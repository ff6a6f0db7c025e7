"""Stage "bundle": the trained parts as one model on disk, with its card."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from PIL import Image

from showme.backbones.lora import bare_weights
from showme.bundle import BundleInfo, verify_bundle
from showme.generation.familiarity import fit_familiarity, image_features
from showme.pipelines import load_bundle, save_bundle
from showme.run_folder import MODEL
from showme.training import CHECKPOINTS
from showme.training.checkpoint import newest_checkpoint, read_state, save_checkpoint
from showme.training.muon import MuonAdamW
from showme.worlds.tabletop.vocabulary import TEMPLATES, all_words, phrase

from .cache import STEPS, assemble
from .card import model_card
from .codec import CODEC_MODEL
from .networks import START, base_objective, build_projector, build_unet
from .pairs import load_pairs
from .settings import Settings

BASE_MODEL = "base-model"
_SYNONYMS = {
    "shove": "push", "slide": "push", "drag": "pull", "nearer": "closer", "raise": "lift", "pick": "lift",
    "set": "put", "in": "into", "onto": "on", "flip": "turn", "rotate": "turn", "shut": "close", "slice": "cut",
    "chop": "cut", "cup": "mug", "jar": "can", "tin": "can", "cube": "box", "block": "box", "sphere": "ball",
    "bread": "loaf", "dish": "bowl", "plate": "tray", "flask": "bottle", "chest": "case", "suitcase": "case",
    "towel": "cloth", "crimson": "red", "cyan": "turquoise", "teal": "turquoise", "violet": "purple",
    "magenta": "pink", "beside": "next", "near": "next", "leftwards": "left", "rightwards": "right",
}  # fmt: skip
STARTED_FROM = "started-from"
# What whoever trained wants readers of the card to know of this run, in Markdown; optional.
NOTES = "notes.md"
_FAMILIARITY_PICTURES = 1500


def write_base(folder: Path, settings: Settings, device: torch.device) -> Path:
    """Save the base as a bundle, bf16 on disk, which ShowMe's stages tune; returns its folder."""
    place = folder / BASE_MODEL
    objective = base_objective(folder, settings, device, "base").cpu()
    pipeline = assemble(folder, settings, objective.unet, objective.projector, objective.text, objective.scheduler)
    info = BundleInfo(
        name="embedded",
        height=settings.size,
        width=settings.size,
        num_frames=settings.frames,
        fps=settings.fps,
        default_steps=STEPS,
        vocabulary=all_words(),
        synonyms={word: known for word, known in _SYNONYMS.items() if known in all_words()},
        instruction_examples=tuple(phrase(a, "red box", "blue bowl", 0) for a in TEMPLATES),
        familiarity=_familiarity(folder, settings),
    )
    save_bundle(pipeline, info, place, dtype=torch.bfloat16)
    return place


def write_bundle(
    folder: Path, settings: Settings, device: torch.device, destination: Path, figures: str | None = None
) -> str:
    """Save the last stage's model with the measured ``figures`` (Markdown) in its card; returns its hash.

    Of a run that started from a bundle and has trained its decoder alone, it is that bundle with the new decoder.
    """
    last = next(each for each in (folder / "state_video" / MODEL, folder / STARTED_FROM) if each.exists())
    tuned = load_bundle(last, device="cpu", dtype=torch.float32)
    tuned.pipeline.vae = AutoencoderKL.from_pretrained(folder / CODEC_MODEL)
    record = training_record(folder, settings, device)
    info = tuned.info.model_copy(update={"name": "embedded"})
    return save_bundle(tuned.pipeline, info, destination, card=model_card(record, figures), dtype=torch.bfloat16)


def start_from(source: str, folder: Path, settings: Settings) -> None:
    """Put a bundle's frozen parts where their stages would have left them, its networks into "start", to go on from.

    The optimisers start afresh, and so does the count of minutes; the card of the next bundle keeps this one's.

    Raises:
        InputError: no such bundle.
        RuntimeError: its networks have other sizes than ``settings``.
    """
    bundle = load_bundle(source, device="cpu", dtype=torch.float32)
    pipeline = bundle.pipeline
    pipeline.vae.save_pretrained(folder / CODEC_MODEL)
    pipeline.tokenizer.save_pretrained(folder / "tokenizer")
    pipeline.text_encoder.save_pretrained(folder / "text-encoder")
    pipeline.image_encoder.save_pretrained(folder / "image-encoder")
    unet, projector = build_unet(settings), build_projector(settings)
    for ours, theirs in ((unet, pipeline.unet), (projector, pipeline.image_projector)):
        with bare_weights(theirs):
            ours.load_state_dict(theirs.state_dict())
    modules = {"unet": unet, "projector": projector, "text": pipeline.text_encoder.requires_grad_(True)}
    save_checkpoint(
        folder / START / CHECKPOINTS, modules, MuonAdamW(modules.values()), {"step": 0, "seconds": 0.0, "samples": 0}
    )
    # Last: that it is there says that all of it is.
    part = folder / f"{STARTED_FROM}.part"
    shutil.copytree(bundle.folder, part, dirs_exist_ok=True)
    part.replace(folder / STARTED_FROM)


def training_record(folder: Path, settings: Settings, device: torch.device) -> dict:
    """Device, and minutes, steps and samples of every stage, read from the stages' checkpoints."""
    stages = {}
    notes = folder / NOTES
    texts = [notes.read_text().strip()] if notes.exists() else []
    if (folder / STARTED_FROM).exists():
        texts.append(_card_before(folder / STARTED_FROM))
    for name in settings.minutes:
        path = newest_checkpoint(folder / name / CHECKPOINTS)
        state = read_state(path) if path is not None else {"step": 0}
        if not state["step"]:
            continue  # taken from the bundle that the run started from
        stages[name] = {"minutes": round(state["seconds"] / 60, 1), "steps": state["step"], "samples": state["samples"]}
    model = torch.cuda.get_device_name() if device.type == "cuda" else f"{platform.machine()} CPU"
    return {
        "device": f"{model}, {torch.get_num_threads()} threads",
        "stages": stages,
        "settings": settings,
        "before": "\n\n".join(texts),
    }


def _card_before(place: Path) -> str:
    """What the card of the bundle that a run started from says, below its title."""
    card = (place / "README.md").read_text().split("\n# ", 1)[1]
    return f"## Before that: the bundle {verify_bundle(place)[:12]}\n\n{card.split(chr(10), 1)[1]}"


def _familiarity(folder: Path, settings: Settings) -> dict:
    """Statistics of first frames, by which a photo from outside the world is recognised."""
    pictures = load_pairs(folder, settings).first[:_FAMILIARITY_PICTURES].permute(0, 2, 3, 1).numpy()
    return fit_familiarity([image_features(Image.fromarray(picture)) for picture in pictures])
