"""Learned affine image registration in two and three dimensions.

The package follows Kanter & Lellmann, "A Flexible Meta Learning Model for Image Registration"
(MIDL 2022).  The paper's reference and template images are called *fixed* and *moving* here, the
words of 3D Slicer.  Importing the package does not import torch; its modules on the torch side do.
"""

__version__ = "0.1.0"
