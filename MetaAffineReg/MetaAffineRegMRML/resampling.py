"""The voxels of a volume on another lattice."""

import numpy as np
import slicer.util
import vtk
from numpy.typing import NDArray

from MetaAffineRegLib.geometry import Matrix

from .volume_nodes import voxels_of


def resampled(image: vtk.vtkImageData, samples_to_index: Matrix, size: tuple[int, int, int]) -> NDArray[np.generic]:
    """Linearly interpolated voxels, (nk, nj, ni) or with components last, in the type of the image; beyond it its lowest value.

    ``samples_to_index`` (4 x 4) maps an index (i, j, k) of the new lattice of ``size`` samples to one of the image; it may be singular,
    as where a slice is shown on samples beside its plane.
    """
    matrix = vtk.vtkMatrix4x4()
    slicer.util.updateVTKMatrixFromArray(matrix, samples_to_index)
    transform = vtk.vtkMatrixToHomogeneousTransform()
    transform.SetInput(matrix)
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(image)
    reslice.SetResliceTransform(transform)
    reslice.SetOutputSpacing(1, 1, 1)
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputExtent(0, size[0] - 1, 0, size[1] - 1, 0, size[2] - 1)
    reslice.SetInterpolationModeToLinear()
    reslice.SetBackgroundLevel(image.GetScalarRange()[0])
    reslice.Update()
    return voxels_of(reslice.GetOutput()).copy()
