"""Presets: named choices.  Those of the user are kept in the user's settings, which an update of the extension leaves alone."""

import json
from typing import Any

from MetaAffineRegLib.errors import InputError

_KEY = "MetaAffineReg/Presets"
_DEFAULTS: dict[str, Any] = {
    "freedom": "affine",
    "model": "",
    "method": "robust",
    "dataTerm": "auto",
    "rotationRange": 180.0,
    "device": "auto",
    "backend": "auto",
}
SHIPPED: dict[str, dict[str, Any]] = {
    "Automatic": _DEFAULTS,
    "One patient, same position": {**_DEFAULTS, "freedom": "rigid", "rotationRange": 30.0},
    "One patient, any position": {**_DEFAULTS, "freedom": "rigid"},
    "Different contrasts": {**_DEFAULTS, "dataTerm": "edges"},
}


class Presets:
    """Names and choices; ``settings`` has ``value(key)`` and ``setValue(key, value)``, as Slicer's user settings have."""

    def __init__(self, settings: Any):
        self._settings = settings

    def names(self) -> list[str]:
        """The shipped ones first, then those of the user by name."""
        return [*SHIPPED, *sorted(self._own())]

    def choices(self, name: str) -> dict[str, Any]:
        """What a preset holds; raises InputError where there is none of that name."""
        found = SHIPPED.get(name) or self._own().get(name)
        if found is None:
            raise InputError(f"There is no preset {name}; choose another.")
        return found

    def nameOf(self, choices: dict[str, Any]) -> str:
        """The name of the preset that holds just these choices; empty where none does."""
        return next((name for name in self.names() if self.choices(name) == choices), "")

    def isOwn(self, name: str) -> bool:
        """Whether the user made it, and may delete it."""
        return name in self._own()

    def save(self, name: str, choices: dict[str, Any]) -> None:
        """Keep choices under a name; raises InputError for a name that is empty or of a shipped preset."""
        name = name.strip()
        if not name:
            raise InputError("A preset needs a name; give one.")
        if name in SHIPPED:
            raise InputError(f"{name} is a preset of the extension and can't be replaced; give another name.")
        self._write({**self._own(), name: choices})

    def delete(self, name: str) -> None:
        """Forget a preset of the user."""
        self._write({other: choices for other, choices in self._own().items() if other != name})

    def _own(self) -> dict[str, dict[str, Any]]:
        """What the settings hold; anything unreadable counts as nothing."""
        try:
            content = json.loads(self._settings.value(_KEY) or "{}")
        except (TypeError, ValueError):
            return {}
        if not isinstance(content, dict):
            return {}
        return {name: choices for name, choices in content.items() if isinstance(choices, dict) and name not in SHIPPED}

    def _write(self, own: dict[str, dict[str, Any]]) -> None:
        self._settings.setValue(_KEY, json.dumps(own))
