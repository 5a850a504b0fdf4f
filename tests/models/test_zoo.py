import pytest
import tensorflow as tf

from models.features import FeatureLayout
from models.zoo import MODELS, ForwardPass, MultiDomainModel, build_model, register
from models.zoo.crocodile import Crocodile
from tests.models.small_model import LAYOUT, batch, predict, small_config, tensors


def test_crocodile_is_known_by_name():
    assert isinstance(build_model(small_config(), LAYOUT), Crocodile)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown model 'crocodil'; known are .*crocodile.*Did you mean 'crocodile'"):
        build_model(small_config(name="crocodil"), LAYOUT)


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="registered already"):
        register("crocodile")(Crocodile)


def test_a_model_without_experts_keeps_the_contract(monkeypatch):
    monkeypatch.setattr("models.zoo.registry.MODELS", MODELS.copy())

    class DomainBias(MultiDomainModel):
        def __init__(self, config, layout, seed=0, **kwargs):
            super().__init__(config, layout, seed, **kwargs)
            self.bias = self.add_weight("bias", [layout.num_domains], initializer="zeros")

        def forward_routed(self, batch, training):
            return ForwardPass(tf.gather(self.bias, batch.domain))

    model = DomainBias(small_config(), LAYOUT)
    model.make_weights()
    model.bias.assign([0.0, 10.0, -10.0])
    inputs = batch([2, 0, 1, 3])
    assert predict(model, inputs) == pytest.approx([0, 0.5, 1, 0.5], abs=1e-4)
    assert model.forward(tensors(inputs)).expert_outputs is None
    loss = model.compute_loss((tensors(inputs), tf.constant([0, 1, 1, 0])), training=True)
    assert loss.numpy() == pytest.approx(0.6932, abs=1e-3)
    assert model.embedding_variables == []


def test_a_layout_without_numeric_fields_needs_no_values():
    layout = FeatureLayout(id_fields=("user", "item"), vocabulary_sizes=(3, 4), num_domains=2)
    model = build_model(small_config(), layout)
    inputs = batch([0, 1, 1], layout=layout)
    del inputs["values"]
    assert predict(model, inputs).shape == (3,)
