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
