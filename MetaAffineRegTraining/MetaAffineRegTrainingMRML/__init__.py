"""Volume nodes into a training, and its curves into the scene: needs vtk and the MRML classes, neither Qt nor the application."""
