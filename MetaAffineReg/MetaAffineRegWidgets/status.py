"""What the panel says and in which color."""

from typing import Any

# Text on a ground that is readable on a light and on a dark theme; "" leaves the theme's own.
_GROUND = {
    "ready": "",
    "running": "#1f5fa8",
    "done": "#3d6b4f",
    "ok": "#1b7f3b",
    "ambiguous": "#a85c00",
    "failed": "#b3261e",
    "error": "#b3261e",
}


def show(label: Any, kind: str, text: str) -> None:
    """Put a sentence on the label, on the ground of its kind."""
    ground = _GROUND[kind]
    style = f"QLabel {{ background-color: {ground}; color: white; padding: 6px; border-radius: 4px; }}" if ground else ""
    label.setText(text)
    if label.styleSheet != style:
        label.setStyleSheet(style)


class Said:
    """A sentence and its kind that stand until the user chooses something else; ``sentence`` is None where nothing is said.

    What is said while another module is shown, where there is no choice, is said of the choice that is found on coming back.
    """

    def __init__(self) -> None:
        self.sentence: tuple[str, str] | None = None
        self._choice: Any = None

    def say(self, kind: str, text: str, choice: Any) -> None:
        self.sentence, self._choice = (kind, text), choice

    def forget(self) -> None:
        self.sentence = None

    def under(self, choice: Any) -> tuple[str, str] | None:
        """What is said of a choice, None for none; what was said of another one is forgotten."""
        if choice is not None:
            self._choice = choice if self._choice is None else self._choice
            if self._choice != choice:
                self.forget()
        return self.sentence
