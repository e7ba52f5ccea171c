"""The training loop: Adam on the loss (8) of the iterates, successive or joint, on one process or several, resumable at any step."""

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from MetaAffineRegLib.affine import mean_squared_distance
from MetaAffineRegLib.checkpoint import read, save
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.initializer import Initializer, InitializerConfig

from .distributed import Ranks
from .losses import root_mean_squared_distance
from .pairs import PairMaker

_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": mean_squared_distance, "rms": root_mean_squared_distance}
_VALIDATION_PAIRS = 256
_VALIDATION_SEED = 1 << 20  # apart from the seeds of training
_WARM_STEPS = 50


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained.

    steps: Adam steps, None where ``seconds`` decides; seconds: the time to take, None where ``steps`` decides; batch: pairs a step, of all
    processes together; learning_rate: at the start, it falls along a cosine; loss: equation (8)
    ("mse") or its root ("rms"), taken after every LSTM step with the weight k ** emphasis; schedule: "successive" lets
    the number of LSTM steps grow from one to all over the first half, as the paper trained its layers one after the
    other, "joint" trains all of them from the start.
    """

    steps: int | None = 4000
    batch: int = 128
    learning_rate: float = 0.005
    loss: Literal["mse", "rms"] = "rms"
    schedule: Literal["successive", "joint"] = "successive"
    emphasis: float = 0.0
    seed: int = 0
    seconds: float | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.seconds is None):
            raise InputError("A training has a length in steps or in time; give one of the two.")

    def active_iterates(self, progress: float, iterates: int) -> int:
        """How many LSTM steps are trained where the share ``progress`` of the training is over."""
        if self.schedule == "joint":
            return iterates
        return min(iterates, 1 + int(2 * progress * iterates))

    def rate(self, step: int, progress: float) -> float:
        """Learning rate at Adam step ``step``, the share ``progress`` of the training being over."""
        warm = min(1.0, (step + 1) / _WARM_STEPS)
        return self.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


_ALONE = Ranks()


class Trainer:
    """Trains one network; its state can be saved at any step and taken up again with the same numbers, by any number of processes.

    pairs, validation: makers of pairs, one for each data term that the network reads; steps take them in turn; network: as it is
    trained, set out from ``initial`` where it is given; step: Adam steps done; seconds: how long they took, breaks left out; reserve:
    seconds of the time budget that are kept for what comes after; notes: sentences on what went differently; failed: why training had
    to stop, empty where it had not.
    """

    def __init__(
        self,
        network_config: InitializerConfig,
        config: TrainingConfig,
        pairs: Sequence[PairMaker],
        validation: Sequence[PairMaker],
        device: torch.device | str = "cpu",
        ranks: Ranks = _ALONE,
        initial: Initializer | None = None,
    ):
        self.config, self.ranks = config, ranks
        self._pairs, self._validation, self._device = pairs, validation, torch.device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = Initializer(network_config).to(device)
        if initial is not None:
            self.network.load_state_dict(initial.state_dict())
        self._optimizer = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)
        self._at_once = config.batch
        self.step, self.seconds, self.reserve = 0, 0.0, 0.0
        self.notes: list[str] = []
        self.failed = ""
        self._best: tuple[float, dict[str, Tensor]] = (math.inf, _copied(self.network))

    @property
    def progress(self) -> float:
        """Share of the training that is over; 1 or more at its end."""
        if self.config.steps is not None:
            return self.step / self.config.steps
        assert self.config.seconds is not None
        return self.seconds / max(self.config.seconds - self.reserve, 1e-3)

    def steps(self) -> Iterator[float]:
        """Train, a step an iteration, and tell its loss; what is done between two steps counts as time, see ``not_counted``.

        Ends where the length is reached, and where a loss or gradient is not finite: ``failed`` says so, and the weights are those before.
        """
        began = time.monotonic()
        while True:
            now = time.monotonic()
            self.seconds, began = self.seconds + now - began, now
            progress = self.ranks.agreed(self.progress, self._device)
            if progress >= 1:
                return
            loss = self._train_step(progress)
            if not math.isfinite(loss):
                self.failed = (
                    f"The loss was no longer finite at step {self.step + 1}, so the training stopped; a smaller learning rate may help."
                )
                return
            self.step += 1
            yield loss

    def not_counted(self, seconds: float) -> None:
        """Take a break out of the time of the training."""
        self.seconds -= seconds

    def _train_step(self, progress: float) -> float:
        """The loss, and a step along its gradient unless one of them is not finite."""
        for group in self._optimizer.param_groups:
            group["lr"] = self.config.rate(self.step, progress)
        count = self.config.active_iterates(progress, len(self.network.cells))
        loss = self._gradient(count)
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        self.ranks.summed([loss, *gradients])
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        if not bool(torch.isfinite(norm)):
            return math.nan
        if bool(torch.isfinite(loss)):
            self._optimizer.step()
        return float(loss)

    def _gradient(self, count: int) -> Tensor:
        """The share of this process in the loss, its gradient left in the network; in parts where the GPU's memory is not enough."""
        first, size = self.ranks.share(self.config.batch)
        while True:
            self._optimizer.zero_grad()
            total = torch.zeros((), dtype=torch.float64, device=self._device)
            try:
                for start in range(first, first + size, self._at_once):
                    part = self._loss(start, min(self._at_once, first + size - start), count)
                    part.backward()
                    total += part.detach()
                return total
            except torch.OutOfMemoryError as error:
                if self._at_once == 1:
                    raise InputError("The memory of the GPU is not enough for one pair; choose the CPU or smaller blocks.") from error
                self._at_once = (min(self._at_once, size) + 1) // 2
                if self._device.type == "cuda":
                    torch.cuda.empty_cache()
                self.notes.append(
                    f"The memory of the GPU was not enough for a whole batch; it is computed {self._at_once} pairs at a time."
                )

    def _loss(self, first: int, count: int, iterates: int) -> Tensor:
        """What some pairs of the batch add to its loss."""
        pairs = self._pairs[self.step % len(self._pairs)].make(count, self.config.seed, self.step, first)
        found = self.network(pairs.objectives, pairs.start, iterates)
        losses = torch.stack([_LOSSES[self.config.loss](x, pairs.truth).mean() for x in found]) * (count / self.config.batch)
        weights = torch.arange(1, iterates + 1, dtype=losses.dtype, device=losses.device) ** self.config.emphasis
        return (weights * losses).sum() / weights.sum()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean and median of mse4 (four times equation (8), the paper's unit) on fixed pairs that are not trained on."""
        found = []
        for maker in self._validation:
            pairs = maker.make(_VALIDATION_PAIRS // len(self._validation), self.config.seed + _VALIDATION_SEED, 0)
            found.append(4 * mean_squared_distance(self.network(pairs.objectives, pairs.start)[-1], pairs.truth))
        mse4 = torch.cat(found)
        return {"validation_mse4_mean": float(mse4.mean()), "validation_mse4_median": float(mse4.median())}

    def consider(self, error: float) -> None:
        """Keep the weights as they are now where ``error``, of validation, is the smallest so far."""
        if error < self._best[0]:
            self._best = (error, _copied(self.network))

    def take_best(self) -> None:
        """Go back to the weights with the smallest error that ``consider`` was told; to those at the start where it was told none."""
        self.network.load_state_dict(self._best[1])

    def save(self, path: Path, card: dict[str, Any], resumable: bool) -> None:
        """Write the checkpoint, with the state that resuming needs where ``resumable``; raises OSError, the old file is whole then."""
        extra: dict[str, Any] = {}
        if resumable:
            extra["training"] = {
                "step": self.step,
                "seconds": self.seconds,
                "config": asdict(self.config),
                "weights": self.network.state_dict(),  # float64, where the checkpoint proper rounds
                "optimizer": self._optimizer.state_dict(),
                "best": {"error": self._best[0], "weights": self._best[1]},
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
        self.step, self.seconds = int(state["step"]), float(state["seconds"])
        self._best = (float(state["best"]["error"]), state["best"]["weights"])


def _copied(network: Initializer) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}


def json_line(figures: dict[str, float]) -> str:
    """One line of the log."""
    return json.dumps({name: round(value, 6) for name, value in figures.items()})
