"""Trainings in a process of their own, told by lines of JSON on standard input what to do.

* `{"model": name, "sizes": …, "rows": file, "threads": n, "learning_rate": x}` begins a training, on an .npz file of
  `ids` [B, N, F], `domain` and `label` [B, N]; answered with versions.
* `{"steps": n}` trains on; answered with the time at the end of each of n + 1 steps, in seconds.
* `{"state": file}` loads weights by name (.npz); answered with the training logits of the first batch and the number
  of parameters.

It ends with its input.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.torch_peers.mmoe import MMoE
from benchmarks.torch_peers.pepnet import PEPNet
from benchmarks.torch_peers.ple import PLE
from benchmarks.torch_peers.sizes import Sizes
from benchmarks.torch_peers.star import STAR

MODELS: Mapping[str, Callable[[Sizes], nn.Module]] = {"mmoe": MMoE, "pepnet": PEPNet, "ple": PLE, "star": STAR}


class Training:
    """Adam on batches that lie in memory, one after the other, again and again."""

    def __init__(self, task: Mapping[str, Any]) -> None:
        torch.set_num_threads(task["threads"])
        self.model = MODELS[task["model"]](Sizes(**task["sizes"]))
        self.learning_rate = task["learning_rate"]
        self.loss = nn.BCEWithLogitsLoss()
        with np.load(task["rows"]) as rows:
            ids, domain = torch.from_numpy(rows["ids"]), torch.from_numpy(rows["domain"])
            label = torch.from_numpy(rows["label"]).float()
        self.batches = list(zip(ids, domain, label, strict=True))
        self.steps = 0

    @cached_property
    def optimizer(self) -> torch.optim.Optimizer:
        """Adam, made for the first step: PyTorch takes seconds to import what optimizers need."""
        return torch.optim.Adam(self.model.parameters(), lr=self.learning_rate)

    def step(self) -> None:
        """One step of training."""
        ids, domain, label = self.batches[self.steps % len(self.batches)]
        self.optimizer.zero_grad()
        loss = self.loss(self.model(ids, domain), label)
        loss.backward()
        self.optimizer.step()
        self.steps += 1

    def run(self, steps: int) -> list[float]:
        """Trains; returns the time at the end of each of `steps` + 1 steps."""
        ends = []
        for _ in range(steps + 1):
            self.step()
            ends.append(time.perf_counter())
        return ends

    def scores(self, state: str) -> dict[str, Any]:
        """Loads weights, and returns what the model says of the first batch."""
        with np.load(state) as weights:
            self.model.load_state_dict({name: torch.from_numpy(weights[name]) for name in weights.files})
        ids, domain, _ = self.batches[0]
        with torch.no_grad():
            logits = self.model(ids, domain)
        return {"logits": logits.tolist(), "parameters": sum(weight.numel() for weight in self.model.parameters())}


def main() -> None:
    """Does what it is told."""
    training = None
    for line in sys.stdin:
        order = json.loads(line)
        answer: Any
        if "model" in order:
            training = Training(order)
            answer = {"torch": torch.__version__, "threads": torch.get_num_threads()}
        elif training is None:
            raise ValueError(f"no training has begun. Received: {line}")
        else:
            answer = training.scores(order["state"]) if "state" in order else training.run(order["steps"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
