"""The PyTorch peers are the models that they are compared with."""

import pytest

from benchmarks import torch_environment
from benchmarks.training_check import compare_with_peer
from benchmarks.training_sides import PeerTraining


@pytest.mark.slow
@pytest.mark.skipif(not torch_environment.is_made(), reason="`python -m benchmarks.training` makes the environment")
def test_peers_with_our_weights_say_what_ours_say() -> None:
    with PeerTraining() as peer:
        for name in ("mmoe", "ple", "star", "pepnet"):
            agreement = compare_with_peer(name, peer)
            assert agreement.parameters == agreement.peer_parameters, name
            assert agreement.largest_logit > 1
            assert agreement.is_same, (name, agreement)
