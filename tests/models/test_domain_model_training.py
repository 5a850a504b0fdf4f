"""The models with domain-specific parts, in the real training loop with the real optimizers."""

from pathlib import Path

import numpy as np
import pytest

from models.config import ModelConfig
from models.export import model_weights
from models.training.input import TransformedData
from models.training.loop import TrainingResult, train
from models.training.optimizers import dense_variables
from models.training.prepare import prepare
from models.training.validation import Validation
from models.zoo import MultiDomainModel
from tests.models.test_training import LAYOUT, Killed, config, write

Data = tuple[TransformedData, Validation]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("rows")
    return write(folder / "train", 700, 1), Validation(write(folder / "validation", 300, 2), ("a", "b"))


def run(name: str, data: Data, folder: Path, **changes: object) -> tuple[MultiDomainModel, TrainingResult]:
    sizes = ModelConfig.model_validate(
        {
            "name": name,
            "embedding_dim": 4,
            "expert_units": [16, 8],
            "tower_units": [4],
            "prior_embedding_dim": 4,
            "cov_loss": {"alpha": 0.0},
            "star": {"momentum": 0.9},
            # Not steep within this training: so narrow a network has no neuron to spare.
            "adasparse": {"alpha_steps": 1000},
        }
    )
    training = config(seed=3, **changes)
    model = prepare(sizes, training, LAYOUT, data[0], ("a", "b"))
    result = train(model, *data, training, checkpoint_dir=str(folder / "c"), log_dir=str(folder / "logs"))
    return model, result


# The two with something counted in training; every model learns rows by heart in test_zoo_promises.py.
@pytest.mark.parametrize("name", ["adasparse", "star"])
def test_learns_what_depends_on_the_domain(name: str, data: Data, tmp_path: Path) -> None:
    model, result = run(name, data, tmp_path, epochs=10, patience=6)
    # Noise keeps the best below 0.95; a model that cannot tell the domains apart stays at 0.5.
    assert result.validation["overall"]["auc"] > 0.75
    assert all(record["auc"] > 0.7 for record in result.validation["domains"].values())
    optimized = [variable.ref() for variable in (*model.embedding_variables, *dense_variables(model))]
    assert sorted(map(hash, optimized)) == sorted(hash(variable.ref()) for variable in model.trainable_variables)


@pytest.mark.parametrize("name", ["adasparse", "star"])
def test_what_is_counted_in_training_survives_a_kill(
    name: str, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = run(name, data, tmp_path / "whole", epochs=3)
    from models.training import loop

    original = loop._Training.on_train_batch_end

    def killed(self: object, batch: int, logs: object = None) -> None:
        original(self, batch, logs)
        if int(self.state.total_steps) == 16:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(loop._Training, "on_train_batch_end", killed)
        with pytest.raises(Killed):
            run(name, data, tmp_path / "killed", epochs=3)
    resumed, result = run(name, data, tmp_path / "killed", epochs=3)
    assert result.resumed
    counted = [weight.name for weight in model_weights(resumed) if not weight.trainable]
    assert len(counted) == {"adasparse": 1, "star": 3}[name]
    for one, other in zip(model_weights(whole), model_weights(resumed), strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-3, atol=1e-5, err_msg=one.name)
