"""A training on volumes from its beginning to the judged model: what the panel, the console and the script share."""

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import torch

from MetaAffineRegLib import __version__
from MetaAffineRegLib.checkpoint import Model, load
from MetaAffineRegLib.devices import choose_device
from MetaAffineRegLib.errors import Cancelled, InputError
from MetaAffineRegLib.image import Image
from MetaAffineRegLib.initializer import InitializerConfig
from MetaAffineRegLib.registration import DEFAULT_MODEL, LEVELS

from . import evaluation
from .appearance import Disturbances
from .comparison import Verdict, verdict
from .deformations import DeformationDistribution
from .distributed import Ranks
from .pairs import PairMaker, Pairs
from .pictures import mosaic, write_picture
from .settings import LEVELS as NETWORK_LEVELS
from .settings import TrainingSettings
from .sources import source_stack
from .trainer import Trainer, TrainingConfig

_BATCH = {2: 128, 3: 16}
_RATE, _RATE_OF_TUNING = 0.005, 0.002
_EVALUATIONS = 12  # on the way
_PAIRS_TO_COMPILE = 4
_SHARE_OF_EVALUATIONS = 0.2  # of the time, at most
_SECONDS_BETWEEN_STATES, _SECONDS_BETWEEN_REPORTS = 15.0, 0.5

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Sources:
    """The parts of the volumes, and of which volume each is; those that are trained on and those that are held out."""

    trained: list[Image]
    held_out: list[Image]
    held_out_volume: list[int]
    volumes: int
    volumes_held_out: int
    notes: tuple[str, ...]

    @classmethod
    def of(cls, volumes: Sequence[Image], settings: TrainingSettings) -> "Sources":
        """Cut the volumes; whole volumes are held out, never parts.  Raises InputError where nothing can be trained on."""
        if not volumes:
            raise InputError("No volume is chosen; choose the volumes to train on.")
        cut = [settings.parts.of(volume) for volume in volumes]
        full = [number for number, found in enumerate(cut) if found]
        if not full:
            raise InputError("Every slice in the range shows nothing; choose another range or orientation, or do not skip empty slices.")
        notes = (
            [f"{len(cut) - len(full)} of {len(cut)} volumes show nothing in the range and are left out."] if len(full) < len(cut) else []
        )
        order = Random(settings.seed).sample(full, len(full))
        count = max(1, round(settings.held_out * len(full))) if len(full) > 1 else 0
        held, kept = sorted(order[:count]), sorted(order[count:])
        if not held:
            notes.append(
                "There is one volume only, so none is held out: the figures are of the volume that was trained on, and say little."
            )
        return cls(
            [part for number in kept for part in cut[number]],
            [part for number in held or kept for part in cut[number]],
            [number for number in held or kept for _part in cut[number]],
            len(kept),
            len(held),
            tuple(notes),
        )


class Session:
    """One training.  ``report(event)`` gets plain data (see ``MetaAffineRegTrainingCLI.worker``); ``pause()`` is called after every step,
    gives the seconds for which it held the training, and raises Cancelled to stop it, after which ``state`` can be resumed from.
    """

    def __init__(
        self,
        volumes: Sequence[Image],
        settings: TrainingSettings,
        model: Path,
        state: Path,
        report: Report = lambda event: None,
        pause: Callable[[], float] = lambda: 0.0,
        picture: Path | None = None,
    ):
        self._began = time.monotonic()
        self.settings, self._model, self._state, self._report, self._pause = settings, model, state, report, pause
        self._picture, self._names = picture, [volume.name for volume in volumes]
        _check_place(model)
        self.sources = Sources.of(volumes, settings)
        self._device = choose_device(settings.device)
        self._ranks = Ranks.of_environment(self._device)
        self._initial = load(settings.start) if settings.start else None
        self._dimension = self.sources.trained[0].geometry.dimension
        self.trainer = self._trainer()
        self._validation = self._evaluation_maker()
        self._plain: dict[str, evaluation.Errors] = {}
        self._evaluated = 0
        self._seconds_of_evaluation: float | None = None
        self._told = 0
        self._reported = self._saved = 0.0

    def run(self, resume: bool = False) -> Verdict | None:
        """Train, and write the model; on processes other than the first, only train along and return None."""
        for note in self.sources.notes:
            self._report({"event": "note", "text": note})
        trainer, leads = self.trainer, self._ranks.leads
        resumed = resume and self._state.is_file()  # a training that ended before its first state begins anew
        if resumed:
            trainer.resume(self._state)
        if leads:
            self._compile()
            self._evaluate(chooses=not resumed)
        trainer.seconds += time.monotonic() - self._began
        loss = 0.0
        for loss in trainer.steps():
            if leads:
                self._after_step(loss)
        self._ranks.close()
        if not leads:
            return None
        if self._evaluated < self._evaluations and not trainer.failed:
            self._evaluate()
        if trainer.failed:
            self._report({"event": "note", "text": f"{trainer.failed} The last good weights are kept."})
        self._report_progress(loss)
        return self._finish()

    def _compile(self) -> None:
        """What the machine compiles on first use, before the clock starts: it can take longer than the training may."""
        began = time.monotonic()
        pairs = evaluation.evaluation_pairs(self._validation, _PAIRS_TO_COMPILE, self.settings.seed, "compiling")
        evaluation.errors(pairs, self.trainer.network)
        self._began += time.monotonic() - began

    # On the way

    def _after_step(self, loss: float) -> None:
        trainer, now = self.trainer, time.monotonic()
        for note in trainer.notes[self._told :]:
            self._report({"event": "note", "text": note})
        self._told = len(trainer.notes)
        if now - self._reported >= _SECONDS_BETWEEN_REPORTS:
            self._reported = now
            self._report_progress(loss)
        if trainer.progress * self._evaluations >= self._evaluated + 1:
            self._evaluate()
        if now - self._saved >= _SECONDS_BETWEEN_STATES:
            self._saved = now
            self._save_state()
        try:
            trainer.not_counted(self._pause())
        except Cancelled:
            self._save_state()
            raise

    @property
    def _evaluations(self) -> int:
        """How many of them the time allows."""
        seconds, each = self.trainer.config.seconds, self._seconds_of_evaluation
        if seconds is None or not each:
            return _EVALUATIONS
        return max(1, min(_EVALUATIONS, int(_SHARE_OF_EVALUATIONS * seconds / each)))

    def _note_seconds(self, seconds: float) -> None:
        """The last evaluation, of both models, takes three of those on the way; the first may be slow, as it compiles."""
        self._seconds_of_evaluation = min(seconds, self._seconds_of_evaluation or seconds)
        if self.trainer.config.seconds is not None:
            self.trainer.reserve = min(3 * self._seconds_of_evaluation, 0.4 * self.trainer.config.seconds)

    def _evaluate(self, chooses: bool = True) -> None:
        """Tell how the methods do now; where it ``chooses``, keep the weights if they are the best."""
        trainer, began = self.trainer, time.monotonic()
        self._evaluated = int(trainer.progress * self._evaluations)
        pairs = self._pairs("validation")
        self._plain = self._plain or evaluation.errors(pairs, None, ["plain"])
        found = {**self._plain, **evaluation.errors(pairs, trainer.network, ["learn", "comb", "robust"])}
        if chooses:
            trainer.consider(float(found["learn"].mse4.clamp_min(1e-12).log().mean()))
        figures = {method: found[method].figures for method in evaluation.METHODS}
        self._report({"event": "evaluation", "step": trainer.step, "seconds": trainer.seconds, "figures": figures})
        if self._picture is not None:
            write_picture(self._picture, mosaic(pairs, evaluation.register_pairs(pairs, trainer.network, "learn")))
            self._report({"event": "picture", "path": str(self._picture)})
        self._note_seconds(time.monotonic() - began)

    def _save_state(self) -> None:
        """A disk that is full costs the state, not the training: the state before stays."""
        if not self._ranks.leads:
            return
        try:
            self.trainer.save(self._state, {"task": self.settings.name}, resumable=True)
        except OSError as error:
            text = f"The state could not be written ({error.strerror or error}); the one before is kept and the training goes on."
            self._report({"event": "note", "text": text})

    def _report_progress(self, loss: float) -> None:
        trainer = self.trainer
        share = min(trainer.progress, 1.0)
        left = trainer.seconds * (1 - share) / share if share > 0 else 0.0
        if trainer.config.seconds is not None:
            left = max(0.0, trainer.config.seconds - trainer.seconds)
        rate = trainer.step / max(trainer.seconds, 1e-3)
        self._report(
            {
                "event": "progress",
                "step": trainer.step,
                "loss": loss,
                "share": share,
                "seconds": trainer.seconds,
                "left": left,
                "rate": rate,
            }
        )

    # At the end

    def _finish(self) -> Verdict:
        """The best weights, judged against the shipped model on pairs that chose nothing, written with their card."""
        trainer = self.trainer
        trainer.take_best()
        pairs = self._pairs("verdict")
        new = evaluation.errors(pairs, trainer.network)
        shown = DEFAULT_MODEL["robust", self._dimension]
        shipped = evaluation.errors(pairs, load(shown).network.to(self._device), ["learn", "comb", "robust"])
        volume = torch.tensor(self._volume_of_source)[pairs.chosen.cpu()]
        judged = verdict(new, shipped, volume, shown)
        if self.sources.volumes_held_out == 0:
            judged = replace(judged, better=False, text="Not shown to be better, as no volume was held out: keep the default.", volumes=0)
        figures = {method: errors.figures for method, errors in new.items()}
        card = self._card(figures, {method: errors.figures for method, errors in shipped.items()}, judged, shown)
        trainer.save(self._model, card, resumable=False)
        self._state.unlink(missing_ok=True)
        self._report({"event": "done", "model": str(self._model), "card": card, "better": judged.better, "verdict": judged.text})
        return judged

    def _card(self, figures: Any, shipped: Any, judged: Verdict, shown: str) -> dict[str, Any]:
        s, sources = self.settings, self.sources
        names = f" ({', '.join(self._names)})" if s.names_in_card else ""
        parts = f"{s.kind}, {s.orientation}" if s.kind == "slices" else f"blocks of {s.block:g}"
        started = f"the model {self._initial.name}" if self._initial else "nothing"
        return {
            "task": s.name,
            "trained_on": f"{len(sources.trained)} parts ({parts}) "
            f"of {sources.volumes} volumes, {sources.volumes_held_out} more held out{names}",
            "data_licence": "not stated: volumes of the user",
            "deformations": f"rotation +-{s.rotation:g} degrees, translation +-{s.translation:g} normalised, scale {s.scale:g}, "
            f"shear {s.shear:g}; noise {s.noise:g}, contrast {s.contrast:g}, bias {s.bias:g}, cropped {s.crop:g}",
            "training": f"from {started}, {self.trainer.step} steps of {self.trainer.config.batch} pairs "
            f"in {self.trainer.seconds:.0f} s, seed {s.seed}",
            "figures": figures,
            "figures_of_the_shipped_model": {"model": shown, **shipped},
            "verdict": judged.text,
            "version": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        }

    # What it is made of

    def _trainer(self) -> Trainer:
        s, d = self.settings, self._dimension
        config = InitializerConfig(d, NETWORK_LEVELS[s.network, d], gradient_input="direction")
        if self._initial is not None:
            config = self._network_of(self._initial)
        work_size = 2 * max(config.levels)
        trained, held_out = (
            [PairMaker(stack, config.levels, *self._distributions(), term) for term in config.data_terms]
            for stack in (self._stack(images, work_size) for images in (self.sources.trained, self.sources.held_out))
        )
        training = TrainingConfig(
            steps=s.steps or None,
            seconds=None if s.steps else 60 * s.minutes,
            batch=s.batch or _BATCH[d],
            learning_rate=s.learning_rate or (_RATE_OF_TUNING if self._initial else _RATE),
            schedule="joint" if self._initial else "successive",
            seed=s.seed,
        )
        initial = self._initial.network if self._initial else None
        return Trainer(config, training, trained, held_out, self._device, self._ranks, initial)

    def _network_of(self, model: Model) -> InitializerConfig:
        config = model.network.config
        if config.dimension != self._dimension:
            raise InputError(
                f"The model '{model.name}' is for {config.dimension} dimensions, the images have {self._dimension}; start from nothing."
            )
        if any(n % level for n in (LEVELS[config.dimension][-1], 2 * max(config.levels)) for level in config.levels):
            raise InputError(
                f"The model '{model.name}' works on grids of {config.levels}, which can't be trained on here; start from another."
            )
        return config

    def _evaluation_maker(self) -> PairMaker:
        """Pairs on the grids of registration, from parts of the held-out volumes, as many of each volume."""
        count = self._pair_count
        volumes = sorted(set(self.sources.held_out_volume))
        places = []
        for volume in volumes:
            own = [place for place, one in enumerate(self.sources.held_out_volume) if one == volume]
            wanted = max(1, min(len(own), count // len(volumes)))
            places += [own[(2 * i + 1) * len(own) // (2 * wanted)] for i in range(wanted)]
        self._volume_of_source = [self.sources.held_out_volume[place] for place in places]
        levels = evaluation.evaluation_levels(self.trainer.network)
        stack = self._stack([self.sources.held_out[place] for place in places], LEVELS[self._dimension][-1])
        return PairMaker(stack, levels, *self._distributions())

    @property
    def _pair_count(self) -> int:
        return self.settings.validation_pairs if self._dimension == 2 else max(2, self.settings.validation_pairs // 6)

    def _pairs(self, part: str) -> Pairs:
        return evaluation.evaluation_pairs(self._validation, self._pair_count, self.settings.seed, part)

    def _distributions(self) -> tuple[DeformationDistribution, Disturbances]:
        return distributions(self.settings)

    def _stack(self, images: list[Image], size: int) -> torch.Tensor:
        return source_stack(images, size, device=self._device)


def distributions(settings: TrainingSettings) -> tuple[DeformationDistribution, Disturbances]:
    """What the settings say of deformations and of appearance."""
    s = settings
    noisy = Disturbances(s.noise, 0.5 if s.noise else 0.0, s.crop, s.contrast, s.bias)
    return DeformationDistribution(s.rotation, s.translation, scale=s.scale, shear=s.shear), noisy


def sample_pictures(image: Image, settings: TrainingSettings, rows: int = 2) -> Any:
    """What the settings make of one volume, gray values (height, width): some pairs, fixed beside moving."""
    parts = settings.parts.of(image)
    if not parts:
        raise InputError(f"{image.name} shows nothing in the range; choose another range or orientation.")
    size = 96 if image.geometry.dimension == 2 or settings.kind == "slices" else 48
    stack = source_stack([parts[len(parts) // 2]], size)
    pairs = PairMaker(stack, (size,), *distributions(settings)).make(2 * rows, settings.seed, 0)
    gray = mosaic(pairs, rows=2 * rows)
    half = len(gray) // 2
    return torch.from_numpy(gray).view(2, half, -1).permute(1, 0, 2).reshape(half, -1).numpy()


def _check_place(model: Path) -> None:
    """Raise InputError where the model can't be written: before the training, not behind it."""
    try:
        model.parent.mkdir(parents=True, exist_ok=True)
        probe = model.with_name(f".{model.name}.probe")
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise InputError(f"The model folder {model.parent} can't be written ({error.strerror}); choose another folder.") from error
