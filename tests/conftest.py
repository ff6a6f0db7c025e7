"""A tiny random model, shared by every test that needs a whole pipeline or a bundle on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

TINY_SIZE = 32
TINY_FRAMES = 4
TINY_COLOURS, TINY_SHAPES = ("red", "blue", "green"), ("box", "ball", "mug")
TINY_WORDS = ("push", "pull", "lift", "the", "to", "left", "right", "up", "closer", *TINY_COLOURS, *TINY_SHAPES)


@pytest.fixture(autouse=True)
def plain_scheduling():
    """SVT-AV1, asked by root to encode, leaves the thread that asked at the highest real-time priority, and with it all
    processes that it starts: whatever waits busily there takes a whole core from the rest of the machine."""
    yield
    if hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch):
    """What is said once in a process is said once in every test."""
    monkeypatch.setattr("showme.errors._warned", set())


def make_tiny_tokenizer():
    """A word-level tokenizer like the embedded model's: lower-cased words, [BOS] sentence [EOS], 24 tokens at most."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[BOS]", "[EOS]", *TINY_WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", 2), ("[EOS]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        bos_token="[BOS]",
        eos_token="[EOS]",
        model_max_length=24,
    )


def backbone_of(**parts):
    """The backbone of some of a pipeline's components."""
    from types import SimpleNamespace

    from showme.backbones.video_unet import VideoUNetBackbone

    return VideoUNetBackbone(SimpleNamespace(**parts))


def make_tiny_pipeline(seed: int = 0):
    """A :class:`ShowMePipeline` of tiny random networks for 32x32 pictures and 4 frames, with both adapters."""
    import warnings

    import torch
    from diffusers import AutoencoderKL, DDIMScheduler
    from transformers import CLIPImageProcessor, CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModel

    from showme.methods.showme import ShowMePipeline
    from showme.methods.showme.tasks import STATE_IMAGE, STATE_VIDEO
    from showme.methods.showme.trainable import adapter_config
    from showme.models import ImageProjector, VideoUNet

    torch.manual_seed(seed)
    unet = VideoUNet(
        block_out_channels=(32, 32),
        layers_per_block=1,
        attention_levels=(False, True),
        cross_attention_dim=16,
        attention_head_dim=8,
        temporal_in_heads=0,
        temporal_conv_depth=1,
        image_attention_scale="fixed",
        norm_num_groups=8,
    )
    for adapter in (STATE_IMAGE, STATE_VIDEO):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Already found a `peft_config`")
            unet.add_adapter(adapter_config(backbone_of(unet=unet), adapter, rank=2, dropout=0.0), adapter)
    for parameter in unet.parameters():
        # Where networks and adapters begin at zero, a lost weight would go unnoticed.
        if parameter.ndim > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    blocks = {"block_out_channels": (8, 8, 8, 8), "norm_num_groups": 4, "layers_per_block": 1}
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, **blocks
    )
    text = CLIPTextConfig(
        vocab_size=4 + len(TINY_WORDS),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=24,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
    )
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=16
    )
    pipeline = ShowMePipeline(
        unet=unet,
        image_projector=ImageProjector(
            embedding_dim=16, output_dim=16, dim=16, depth=1, head_dim=8, heads=2, num_queries=8
        ),
        vae=vae,
        text_encoder=CLIPTextModel(text),
        tokenizer=make_tiny_tokenizer(),
        image_encoder=CLIPVisionModel(vision),
        feature_extractor=CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32),
        scheduler=DDIMScheduler(clip_sample=False, beta_schedule="scaled_linear"),
        num_frames=TINY_FRAMES,
        guidance_scale=2.0,
        num_inference_steps=2,
    )
    for component in pipeline.components.values():
        if isinstance(component, torch.nn.Module):
            component.eval()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def make_tiny_info(**changes):
    """The description that belongs to :func:`make_tiny_pipeline`."""
    from showme.bundle import BundleInfo

    settings = {
        "name": "tiny",
        "height": TINY_SIZE,
        "width": TINY_SIZE,
        "num_frames": TINY_FRAMES,
        "fps": 8,
        "default_steps": 2,
        "vocabulary": TINY_WORDS,
        "synonyms": {"cup": "mug", "scarlet": "red"},
        "instruction_examples": ["push the red box to the left", "lift the blue mug up"],
    }
    return BundleInfo(**{**settings, **changes})


@pytest.fixture(scope="session")
def tiny_pipeline():
    """One tiny pipeline for the session: read it, run it, do not change it."""
    return make_tiny_pipeline()


@pytest.fixture(scope="session")
def tiny_bundle(tiny_pipeline, tmp_path_factory) -> Path:
    """The folder of a tiny bundle: read only; copy it before harming it."""
    from showme.pipelines import save_bundle

    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_bundle(tiny_pipeline, make_tiny_info(), folder)
    return folder


@pytest.fixture(scope="session")
def calm_bundle(tmp_path_factory) -> Path:
    """A tiny bundle whose networks draw nothing: several processes cannot draw what one does."""
    from showme.pipelines import save_bundle

    pipeline = make_tiny_pipeline()
    pipeline.unet.register_to_config(dropout=0.0)
    folder = tmp_path_factory.mktemp("calm") / "tiny"
    save_bundle(pipeline, make_tiny_info(), folder)
    return folder


@pytest.fixture
def photo(tmp_path) -> Path:
    """A colourful PNG of 64x48 pixels."""
    path = tmp_path / "photo.png"
    gradient = Image.linear_gradient("L").resize((64, 48))
    Image.merge("RGB", (gradient, gradient.rotate(180), gradient.transpose(Image.Transpose.FLIP_LEFT_RIGHT))).save(path)
    return path


@pytest.fixture(scope="session")
def opengl() -> None:
    """Skip where no offscreen OpenGL is installed."""
    from showme.worlds.gl import MujocoMissingError, OpenGLMissingError
    from showme.worlds.tabletop.renderer import shared_renderer

    try:
        shared_renderer()
    except (OpenGLMissingError, MujocoMissingError) as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of small real clips, annotations and model files that ``SHOWME_DATA_DIR`` names."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SHOWME_DATA_DIR", default))
    if not folder.is_dir():
        pytest.skip(f"no real samples at {folder}: SHOWME_DATA_DIR names their folder")
    return folder
