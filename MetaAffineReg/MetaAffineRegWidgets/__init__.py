"""The parts of the panel, one subject a file, and what they keep in the scene and in the user's settings.  None of them imports torch."""
