"""MRML nodes in and out of registration: needs vtk and the MRML classes, neither Qt nor the application."""
