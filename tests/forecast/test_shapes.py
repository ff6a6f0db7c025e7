"""Published models by their shapes: as many parameters as their authors' files hold."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from torch import nn

from showme.errors import InputError
from showme.forecast.networks import build_pipeline, plain_parts, read_adapters
from showme.forecast.phases import networks_of
from showme.forecast.shapes import published_names, read_model, read_published
from showme.forecast.weightless import without_values
from showme.methods import find_method

NO_CHOICE = SimpleNamespace(data=SimpleNamespace(long_instructions=None))
# Millions of parameters of the files that the authors publish, to the number of digits that these give.
PUBLISHED = {
    "wan2.2-ti2v-5b": {"transformer": 5000, "vae": 704.7, "text_encoder": 5681},
    "wan2.1-i2v-14b-480p": {"transformer": 16395, "vae": 126.9, "text_encoder": 5681, "image_encoder": 630.8},
    "wan2.2-i2v-a14b": {"transformer": 14289, "transformer_2": 14289, "vae": 126.9},
    "skyreels-v2-i2v-1.3b-540p": {"transformer": 1564, "vae": 126.9, "image_encoder": 630.8},
    "dynamicrafter-256": {"unet": 1438.9, "image_projector": 48.8, "vae": 83.65, "image_encoder": 630.8},
}


def millions(network: nn.Module) -> float:
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_parameters_of_published_models(name):
    shapes = read_published(name)
    plain = plain_parts(shapes)
    with without_values(card=True):
        pipeline = build_pipeline(shapes, find_method("showme"), NO_CHOICE, plain, [])
        counts = {part: millions(network) for part, network in networks_of(pipeline).items()}
    for part, expected in PUBLISHED[name].items():
        assert counts[part] == pytest.approx(expected, rel=5e-4), part


def test_every_published_model_is_counted():
    assert published_names() == sorted(PUBLISHED)


def test_a_folder_gives_the_shapes_of_its_networks(tiny_pipeline, tiny_bundle):
    shapes = read_model(str(tiny_bundle))
    plain, adapters = plain_parts(shapes), read_adapters(shapes)
    with without_values(card=True):
        built = build_pipeline(shapes, find_method("showme"), NO_CHOICE, plain, adapters)
        found = {
            part: {name: tuple(value.shape) for name, value in network.state_dict().items()}
            for part, network in networks_of(built).items()
        }
    for part, network in networks_of(tiny_pipeline).items():
        assert found[part] == {name: tuple(value.shape) for name, value in network.state_dict().items()}


def test_a_model_that_is_not_here_names_the_published_ones():
    with pytest.raises(InputError, match=r"no-such-model.*--shapes dynamicrafter-256"):
        read_model("no-such-model")
    with pytest.raises(InputError, match=r"--shapes wan: choose dynamicrafter-256"):
        read_published("wan")
