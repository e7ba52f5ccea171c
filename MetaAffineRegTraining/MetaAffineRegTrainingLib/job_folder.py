"""A training on disk: its volumes, its settings, what it said and the state to resume from.  Known without torch."""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.files import written_together
from MetaAffineRegLib.geometry import ImageGeometry
from MetaAffineRegLib.image import Image

from .settings import TrainingSettings


class JobFolder:
    """The files of one training."""

    def __init__(self, path: Path):
        self.path = path
        self.state, self.events, self.picture = path / "state.resume.pt", path / "events.jsonl", path / "examples.pgm"
        self._job = path / "job.json"

    @classmethod
    def create(cls, parent: Path, images: Iterable[Image], settings: TrainingSettings, model: Path) -> "JobFolder":
        """A new folder below ``parent``; raises InputError where it can't be written or there is no image."""
        job = cls(parent / time.strftime("%Y%m%d-%H%M%S"))
        try:
            parent.mkdir(parents=True, exist_ok=True)
            while job.path.exists():
                job = cls(job.path.with_name(job.path.name + "-1"))
            job.path.mkdir()
            count = 0
            for image in images:
                np.savez(
                    job.path / f"volume-{count}.npz", array=image.array, index_to_lps=image.geometry.index_to_lps, name=np.array(image.name)
                )
                count += 1
            job._write({"settings": settings.to_dict(), "volumes": count, "model": str(model)})
        except OSError as error:
            job.remove()
            raise InputError(f"{parent} can't be written ({error.strerror}); make room or choose another folder.") from error
        return job

    @classmethod
    def unfinished(cls, parent: Path) -> "JobFolder | None":
        """The newest training below ``parent`` that can be taken up, None where there is none."""
        jobs = [cls(path) for path in sorted(parent.glob("*"), reverse=True) if (path / "job.json").is_file()]
        return next((job for job in jobs if job.state.is_file() and not job.said("done")), None)

    @property
    def settings(self) -> TrainingSettings:
        return TrainingSettings.from_dict(self._read()["settings"])

    @property
    def model(self) -> Path:
        """Where the model will be."""
        return Path(self._read()["model"])

    def images(self) -> list[Image]:
        """The volumes, each checked."""
        images = []
        for number in range(int(self._read()["volumes"])):
            try:
                with np.load(self.path / f"volume-{number}.npz", allow_pickle=False) as content:
                    array, matrix, name = content["array"], content["index_to_lps"], str(content["name"])
            except (OSError, ValueError, KeyError) as error:
                raise InputError(f"A volume of the training in {self.path} can't be read; start a new training.") from error
            images.append(Image.checked(array, ImageGeometry(array.shape[::-1], matrix), name))
        return images

    def read_events(self) -> list[dict[str, Any]]:
        """What the training said so far, in order; a line that a crash cut off is left out."""
        if not self.events.is_file():
            return []
        events = []
        for line in self.events.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and "event" in event:
                events.append(event)
        return events

    def said(self, event: str) -> bool:
        """Whether it said something of this kind."""
        return any(one["event"] == event for one in self.read_events())

    def remove(self) -> None:
        """Delete the folder with what this class put there."""
        if self.path.is_dir():
            for file in self.path.iterdir():
                if file.is_file():
                    file.unlink(missing_ok=True)
            self.path.rmdir()

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._job.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path} holds no training; start a new one.") from error
        return content

    def _write(self, content: dict[str, Any]) -> None:
        with written_together(self._job) as (part,):
            part.write_text(json.dumps(content, indent=1), encoding="utf-8")
