"""Command line of the training."""
