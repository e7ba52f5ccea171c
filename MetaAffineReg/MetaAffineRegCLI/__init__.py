"""Command lines: files in, files out.  SimpleITK reads and writes images and transforms."""
