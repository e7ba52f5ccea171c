import pytest
import slicer


@pytest.fixture
def scene():
    """An empty scene of its own for each test."""
    made = slicer.vtkMRMLScene()
    yield made
    made.Clear(True)
