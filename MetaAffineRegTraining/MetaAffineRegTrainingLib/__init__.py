"""Training of initializers on pairs made from images while training runs."""
