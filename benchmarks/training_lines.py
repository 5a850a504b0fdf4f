"""The lines of the training benchmark's table, each measured as two trainings that take turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import tf_keras as keras

from benchmarks.figure_table import Line
from benchmarks.torch_peers.sizes import Sizes
from benchmarks.training_rows import NUM_DOMAINS, TrainingRows
from benchmarks.training_sides import OurTraining, PeerTraining, Side, StepTime, model_config, take_turns
from models.layers.precision import lacks_bfloat16
from models.training_config import TrainingConfig

PEERS = ("mmoe", "ple", "star", "pepnet")
_FIELDS = 38
_BATCH_SIZE = 1024
_BATCHES = 32
# As PyTorch's nn.BCEWithLogitsLoss, and without what the peer has not.
_PEERS_LOSS: Mapping[str, Any] = {"expert_loss": {"name": "none"}, "domain_weighting": "row_mean"}


class NotMeasured(Exception):
    """A line cannot be measured here; the message says why."""


@dataclass(frozen=True)
class Measured:
    """A line, and the times behind it.

    Attributes:
      line: The figures.
      ours: Seconds a step of ours.
      peer: Those of what it is compared with.
    """

    line: Line
    ours: StepTime
    peer: StepTime

    def in_words(self) -> str:
        """Medians and spread."""
        return f"{self.line.step}: {_in_words(self.ours)} beside {_in_words(self.peer)}"

    def as_dict(self) -> dict[str, Any]:
        """For the record."""
        return {"step": self.line.step, "ours_seconds": asdict(self.ours), "peer_seconds": asdict(self.peer)}


@dataclass(frozen=True)
class Bench:
    """How everything is measured.

    Attributes:
      turns: How often each side has its turn.
      steps: Steps of a turn.
      warm_up: Steps of each side before its first turn.
      threads: Threads of each side.
      embedding_optimizer: Ours, of the embedding tables. The peer has Adam for all weights.
      seed: Decides rows and initial weights.
      tell: Called with every turn's times, in words.
    """

    turns: int
    steps: int
    warm_up: int
    threads: int
    embedding_optimizer: str
    seed: int
    tell: Callable[[str], None]

    def sizes(self, total_ids: int) -> Sizes:
        """The issue's sizes: so many ids, evenly spread over the fields."""
        share, rest = divmod(total_ids, _FIELDS)
        return Sizes(tuple(share + (field < rest) for field in range(_FIELDS)), NUM_DOMAINS)

    def rows(self, sizes: Sizes) -> TrainingRows:
        """Rows of these vocabularies."""
        return TrainingRows.draw(sizes.vocabulary_sizes, _BATCHES, _BATCH_SIZE, self.seed)

    def ours(self, name: str, sizes: Sizes, training: Mapping[str, Any] | None = None, **model: Any) -> OurTraining:
        """A training of ours, with these settings besides."""
        config = TrainingConfig.model_validate(
            {
                "seed": self.seed,
                "batch_size": _BATCH_SIZE,
                "embedding_optimizer": self.embedding_optimizer,
                **(training or {}),
            }
        )
        return OurTraining(model_config(name, sizes, **model), config, sizes, self.rows(sizes))

    @contextmanager
    def peer(self, name: str, sizes: Sizes) -> Iterator[PeerTraining]:
        """The PyTorch version."""
        with PeerTraining() as peer:
            peer.begin(name, sizes, self.rows(sizes), TrainingConfig().learning_rate, self.threads)
            yield peer

    def take_turns(self, what: str, *sides: Side) -> list[StepTime]:
        """Times the sides."""
        times = take_turns(list(sides), self.turns, self.steps, self.warm_up, lambda turn: self.tell(f"{what}, {turn}"))
        keras.backend.clear_session()
        return times


def against_peers(
    bench: Bench, label: str, total_ids: int, wanted: float, training: Mapping[str, Any] | None = None
) -> Iterator[Measured]:
    """Rows a second of each model beside its PyTorch version."""
    sizes = bench.sizes(total_ids)
    for name in PEERS:
        ours = bench.ours(name, sizes, training, **_PEERS_LOSS)
        with bench.peer(name, sizes) as peer:
            ours_time, peer_time = bench.take_turns(f"{name}, {label}", ours, peer)
        rates = (_BATCH_SIZE / ours_time.median, _BATCH_SIZE / peer_time.median)
        line = Line(f"{name}, {label}, to PyTorch", *rates, rates[0] / rates[1], wanted)
        yield Measured(line, ours_time, peer_time)


def float32(bench: Bench) -> Iterator[Measured]:
    """Vocabularies of 2,000 ids."""
    return against_peers(bench, "float32, 2,000 ids a field", 2_000 * _FIELDS, 1.5)


def bfloat16(bench: Bench) -> Iterator[Measured]:
    """The same, with dense layers in bfloat16."""
    require_bfloat16()
    training = {"precision": "bfloat16"}
    return against_peers(bench, "bfloat16, 2,000 ids a field", 2_000 * _FIELDS, 3.0, training)


def many_ids(bench: Bench) -> Iterator[Measured]:
    """Two million ids."""
    return against_peers(bench, "float32, 2,000,000 ids", 2_000_000, 5.0)


def covloss(bench: Bench) -> Iterator[Measured]:
    """Crocodile beside the same experts and sets without its loss and gate."""
    sizes = bench.sizes(2_000 * _FIELDS)
    me_mmoe = bench.ours("me_mmoe", sizes, expert_loss={"name": "none"})
    crocodile = bench.ours("crocodile", sizes)
    yield _step_time(bench, "Crocodile to ME-MMoE", crocodile, me_mmoe, 1.1)


def sets(bench: Bench) -> Iterator[Measured]:
    """Crocodile with five embedding sets beside MMoE with one."""
    sizes = bench.sizes(2_000 * _FIELDS)
    mmoe = bench.ours("mmoe", sizes, expert_loss={"name": "none"})
    yield _step_time(bench, "Crocodile, 5 sets, to MMoE, 1 set", bench.ours("crocodile", sizes), mmoe, 2.5)


def growth(bench: Bench) -> Iterator[Measured]:
    """A step with twenty times the ids."""
    for name in ("crocodile", "mmoe"):
        large = bench.ours(name, bench.sizes(2_000_000))
        small = bench.ours(name, bench.sizes(100_000))
        yield _step_time(bench, f"{name}, 2,000,000 ids to 100,000", large, small, 1.2)


LINES: Mapping[str, Callable[[Bench], Iterator[Measured]]] = {
    "float32": float32,
    "bfloat16": bfloat16,
    "ids": many_ids,
    "covloss": covloss,
    "sets": sets,
    "growth": growth,
}


def require_bfloat16() -> None:
    """Goes on where something here multiplies bfloat16.

    Raises:
      NotMeasured: Nothing does.
    """
    if lacks_bfloat16():
        raise NotMeasured("nothing here multiplies bfloat16 (no avx512_bf16, amx_bf16 or GPU)")


def _step_time(bench: Bench, what: str, ours: Side, other: Side, wanted: float) -> Measured:
    ours_time, other_time = bench.take_turns(what, ours, other)
    milliseconds = (1000 * ours_time.median, 1000 * other_time.median)
    ratio = ours_time.median / other_time.median
    return Measured(
        Line(f"{what}: time per step", *milliseconds, ratio, wanted, at_most=True, unit="ms"), ours_time, other_time
    )


def _in_words(time: StepTime) -> str:
    return f"{1000 * time.median:.1f} ms ({1000 * time.least:.1f} to {1000 * time.most:.1f})"
