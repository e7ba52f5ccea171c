"""The training loop: Adam on the loss (8) of the iterates, successive or joint, resumable at any step."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from MetaAffineRegLib import affine
from MetaAffineRegLib.affine import mean_squared_distance
from MetaAffineRegLib.checkpoint import read, save
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.initializer import Initializer, InitializerConfig

from .losses import root_mean_squared_distance
from .pairs import PairMaker

_LOSSES = {"mse": mean_squared_distance, "rms": root_mean_squared_distance}
_VALIDATION_PAIRS = 256
_VALIDATION_SEED = 1 << 20  # apart from the seeds of training


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained.

    steps: Adam steps; batch: pairs a step; learning_rate: at the start, it falls along a cosine; loss: equation (8)
    ("mse") or its root ("rms"), taken after every LSTM step with the weight k ** emphasis; schedule: "successive" lets
    the number of LSTM steps grow from one to all over the first half, as the paper trained its layers one after the
    other, "joint" trains all of them from the start.
    """

    steps: int = 4000
    batch: int = 128
    learning_rate: float = 0.005
    loss: Literal["mse", "rms"] = "rms"
    schedule: Literal["successive", "joint"] = "successive"
    emphasis: float = 0.0
    seed: int = 0

    def active_iterates(self, step: int, iterates: int) -> int:
        """How many LSTM steps are trained at Adam step ``step``."""
        if self.schedule == "joint":
            return iterates
        return min(iterates, 1 + int(2 * step / max(self.steps, 1) * iterates))

    def rate(self, step: int) -> float:
        """Learning rate at Adam step ``step``."""
        warm = min(1.0, (step + 1) / 50)
        return self.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / max(self.steps, 1)))


class Trainer:
    """Trains one network; its state can be saved at any step and taken up again with the same numbers."""

    def __init__(
        self,
        network_config: InitializerConfig,
        config: TrainingConfig,
        pairs: PairMaker,
        validation: PairMaker,
        device: torch.device | str = "cpu",
    ):
        self.config = config
        self._pairs, self._validation = pairs, validation
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = Initializer(network_config).to(device)
        self._optimizer = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)
        self.step = 0

    def run(self, log: Callable[[dict[str, float]], None], save_every: int, save_state: Callable[[], None]) -> None:
        """Train to the end; ``log`` gets figures and ``save_state`` is called every ``save_every`` steps and at the end."""
        while self.step < self.config.steps:
            loss = self._train_step()
            self.step += 1
            if self.step % save_every == 0 or self.step == self.config.steps:
                log({"step": self.step, "loss": loss, **self.validate()})
                save_state()

    def _train_step(self) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = self.config.rate(self.step)
        pairs = self._pairs.make(self.config.batch, self.config.seed, self.step)
        count = self.config.active_iterates(self.step, len(self.network.cells))
        iterates = self.network(pairs.objectives, self._start(pairs.truth), count)
        losses = torch.stack([_LOSSES[self.config.loss](x, pairs.truth).mean() for x in iterates])
        weights = torch.arange(1, count + 1, dtype=losses.dtype, device=losses.device) ** self.config.emphasis
        loss = (weights * losses).sum() / weights.sum()
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimizer.step()
        return loss.item()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean and median of mse4 (four times equation (8), the paper's unit) on fixed pairs that are not trained on."""
        pairs = self._validation.make(_VALIDATION_PAIRS, self.config.seed + _VALIDATION_SEED, 0)
        mse4 = 4 * mean_squared_distance(self.network(pairs.objectives, self._start(pairs.truth))[-1], pairs.truth)
        return {"validation_mse4_mean": float(mse4.mean()), "validation_mse4_median": float(mse4.median())}

    def save(self, path: Path, card: dict[str, Any], resumable: bool) -> None:
        """Write the checkpoint, with the state that resuming needs where ``resumable``."""
        extra: dict[str, Any] = {}
        if resumable:
            extra["training"] = {
                "step": self.step,
                "config": asdict(self.config),
                "weights": self.network.state_dict(),  # float64, where the checkpoint proper rounds
                "optimizer": self._optimizer.state_dict(),
            }
        save(path, self.network, card, **extra)

    def resume(self, path: Path) -> None:
        """Take up the state of a resumable checkpoint; raises InputError where it belongs to another training."""
        content = read(path)
        state = content.get("training")
        if not isinstance(state, dict):
            raise InputError(f"{path} holds no training state; resume from the .resume.pt file that lies beside the model.")
        if InitializerConfig(**content["config"]) != self.network.config or state["config"] != asdict(self.config):
            raise InputError(f"{path} belongs to a training with other settings; give the same settings as then, or start anew.")
        self.network.load_state_dict(state["weights"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])

    def _start(self, truth: Tensor) -> Tensor:
        return affine.identity(len(truth), truth.shape[1], device=truth.device)


def json_line(figures: dict[str, float]) -> str:
    """One line of the log."""
    return json.dumps({name: round(value, 6) for name, value in figures.items()})
