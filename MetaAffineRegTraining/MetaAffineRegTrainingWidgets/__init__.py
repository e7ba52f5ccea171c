"""The parts of the training panel, one subject a file.  None of them imports torch before the user asks for something that needs it."""
