"""Stage "bundle": the trained parts as one model on disk, with its card."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from PIL import Image
from transformers import CLIPVisionModel, PreTrainedTokenizerFast

from showme.bundle import BundleInfo, save_bundle
from showme.generation.familiarity import fit_familiarity, image_features
from showme.methods.showme import ShowMePipeline
from showme.training.checkpoint import load_checkpoint
from showme.worlds.tabletop.vocabulary import TEMPLATES, all_words, phrase

from .card import model_card
from .diffusion import stage2_networks
from .encoders import build_feature_extractor
from .frames import load_frames
from .settings import Settings

# Chosen on the validation split: scripts/evaluate_embedded.py --split validation --novel-scenes 0 --guidance ...
STEPS = 20
GUIDANCE = 1.5

_SYNONYMS = {
    "shove": "push", "slide": "push", "drag": "pull", "nearer": "closer", "raise": "lift", "pick": "lift",
    "set": "put", "in": "into", "onto": "on", "flip": "turn", "rotate": "turn", "shut": "close", "slice": "cut",
    "chop": "cut", "cup": "mug", "jar": "can", "tin": "can", "cube": "box", "block": "box", "sphere": "ball",
    "bread": "loaf", "dish": "bowl", "plate": "tray", "flask": "bottle", "chest": "case", "suitcase": "case",
    "towel": "cloth", "crimson": "red", "cyan": "turquoise", "teal": "turquoise", "violet": "purple",
    "magenta": "pink", "beside": "next", "near": "next", "leftwards": "left", "rightwards": "right",
}  # fmt: skip
_FAMILIARITY_PICTURES = 1500


def build_pipeline(folder: Path, settings: Settings, device: torch.device) -> ShowMePipeline:
    """The pipeline of the trained parts, both adapters in place."""
    networks = stage2_networks(folder, settings, device)
    load_checkpoint(folder / "stage2", {"unet": networks.unet})
    return ShowMePipeline(
        unet=networks.unet.eval(),
        image_projector=networks.projector.eval(),
        vae=AutoencoderKL.from_pretrained(folder / "codec-model").eval(),
        text_encoder=networks.text_encoder.eval(),
        tokenizer=PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer"),
        image_encoder=CLIPVisionModel.from_pretrained(folder / "image-encoder").eval(),
        feature_extractor=build_feature_extractor(settings),
        scheduler=networks.scheduler,
        num_frames=settings.frames,
        guidance_scale=GUIDANCE,
        num_inference_steps=STEPS,
    )


def write_bundle(folder: Path, settings: Settings, device: torch.device, destination: Path) -> str:
    """Save the bundle, bf16 on disk; returns its hash."""
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
        familiarity=_familiarity(folder),
    )
    record = training_record(folder, settings, device)
    pipeline = build_pipeline(folder, settings, device)
    digest = save_bundle(pipeline, info, destination, card=model_card(record), dtype=torch.bfloat16)
    return digest


def training_record(folder: Path, settings: Settings, device: torch.device) -> dict:
    """Device, and minutes, steps and samples of every stage, read from the stages' checkpoints."""
    stages = {}
    for name in settings.minutes:
        state = json.loads((folder / name / "state.json").read_text())
        stages[name] = {"minutes": round(state["seconds"] / 60, 1), "steps": state["step"], "samples": state["samples"]}
    model = torch.cuda.get_device_name() if device.type == "cuda" else f"{platform.machine()} CPU"
    return {"device": f"{model}, {torch.get_num_threads()} threads", "stages": stages, "settings": settings}


def _familiarity(folder: Path) -> dict:
    """Statistics of first frames, by which a photo from outside the world is told."""
    frames, _ = load_frames(folder, "train")
    pictures = frames[:_FAMILIARITY_PICTURES, 0].permute(0, 2, 3, 1).numpy()
    return fit_familiarity([image_features(Image.fromarray(picture)) for picture in pictures])
