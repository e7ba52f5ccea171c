"""The figures that the paper prints (Kanter & Lellmann, MIDL 2022, Tables 1 to 6), and what was measured of FAIR and elastix on our data.

A triple is mean, median, max; None where the text at hand does not show the figure.  ``mri`` stands for the paper's fastMRI task.
"""

Triple = tuple[float | None, float | None, float | None]

TASKS = ("hands", "brain", "mri")

# Tables by (task, method), Table 2 by (training set, test set).
TABLE_1: dict[tuple[str, str], Triple] = {  # mse4, one-level network
    ("hands", "plain"): (1.17, 0.30, 8.28),
    ("hands", "comb"): (0.02, 0.00, 0.23),
    ("hands", "FAIR"): (0.19, 0.02, 2.76),
    ("hands", "elastix"): (0.22, 0.00, 3.53),
    ("brain", "plain"): (1.00, 0.24, 5.43),
    ("brain", "comb"): (0.28, 0.00, 4.69),
    ("brain", "FAIR"): (0.43, 0.02, 7.69),
    ("brain", "elastix"): (0.33, 0.00, 7.13),
    ("mri", "plain"): (0.69, 0.07, 6.62),
    ("mri", "comb"): (0.58, 0.03, 6.33),
    ("mri", "FAIR"): (0.12, 0.01, 6.60),
    ("mri", "elastix"): (0.12, 0.00, 6.80),
}
TABLE_2: dict[tuple[str, str], Triple] = {  # mse4 of comb with the network of another task
    ("hands", "brain"): (1.43, 0.22, 17.26),
    ("hands", "mri"): (0.19, 0.00, 2.28),
    ("brain", "hands"): (0.83, 0.11, 4.77),
    ("brain", "mri"): (0.60, 0.05, 5.13),
    ("mri", "hands"): (0.84, 0.16, 7.02),
    ("mri", "brain"): (1.09, 0.01, 8.64),
}
TABLE_3: dict[tuple[str, str], Triple] = {  # eps_A = ||A - A_true||_F
    ("hands", "plain"): (0.63, 0.40, 1.68),
    ("hands", "comb"): (0.03, 0.00, 0.33),
    ("hands", "FAIR"): (0.08, None, 1.38),
    ("hands", "elastix"): (0.12, None, 1.57),
    ("brain", "plain"): (0.59, 0.42, 2.01),
    ("brain", "comb"): (0.21, 0.03, 1.83),
    ("brain", "FAIR"): (0.15, None, 2.38),
    ("brain", "elastix"): (0.13, None, 2.30),
    ("mri", "plain"): (0.47, 0.19, 2.08),
    ("mri", "comb"): (0.40, 0.13, 2.17),
    ("mri", "FAIR"): (0.04, None, 2.21),
    ("mri", "elastix"): (0.06, None, 2.21),
}
TABLE_4: dict[tuple[str, str], Triple] = {  # eps_b = ||b - b_true||_2
    ("hands", "plain"): (0.15, 0.13, 1.09),
    ("hands", "comb"): (0.01, 0.00, 0.16),
    ("hands", "FAIR"): (0.08, 0.07, 0.25),
    ("hands", "elastix"): (0.03, 0.00, 0.34),
    ("brain", "plain"): (0.08, 0.03, 0.33),
    ("brain", "comb"): (0.04, 0.01, 0.41),
    ("brain", "FAIR"): (0.08, 0.07, 0.29),
    ("brain", "elastix"): (0.01, 0.00, 0.20),
    ("mri", "plain"): (0.06, 0.03, 0.46),
    ("mri", "comb"): (0.04, 0.02, 0.25),
    ("mri", "FAIR"): (0.07, 0.06, 0.18),
    ("mri", "elastix"): (0.01, 0.00, 0.27),
}
TABLE_5: dict[tuple[str, str], Triple] = {  # mse4, full affine deformations
    ("hands", "plain"): (1.17, 0.31, 6.55),
    ("hands", "learn"): (0.02, 0.01, 0.13),
    ("hands", "comb"): (0.01, 0.00, 0.23),
    ("brain", "plain"): (1.02, 0.39, 4.51),
    ("brain", "learn"): (0.13, 0.04, 1.54),
    ("brain", "comb"): (0.04, 0.00, 0.56),
    ("mri", "plain"): (0.96, 0.72, 3.02),
    ("mri", "learn"): (0.72, 0.29, 4.97),
    ("mri", "comb"): (1.19, 0.02, 94.30),
}
TABLE_6: dict[tuple[str, str], Triple] = {  # mse4, multi-level network
    ("hands", "plain"): (1.17, 0.30, 8.28),
    ("hands", "learn"): (0.00, 0.00, 0.03),
    ("hands", "comb"): (0.00, 0.00, 0.00),
    ("brain", "plain"): (0.98, 0.45, 3.19),
    ("brain", "learn"): (0.23, 0.01, 4.18),
    ("brain", "comb"): (0.21, 0.00, 6.43),
    ("mri", "plain"): (0.69, 0.07, 6.62),
    ("mri", "learn"): (0.49, 0.07, 7.85),
    ("mri", "comb"): (0.44, 0.00, 8.97),
}

# Shares (%) below one pixel that elastix (affine, 4 levels, L-BFGS, mean squares) and FAIR (its multi-level Gauss-Newton)
# reached on other pairs of the same data, as the notes that come with the data collection say.
MEASURED_BEFORE: dict[tuple[str, str], float] = {
    ("hands", "elastix"): 78,
    ("brain", "elastix"): 88,
    ("mri", "elastix"): 85,
    ("mri-affine", "elastix"): 70,
    ("mri-180", "elastix"): 25,
    ("mri-crop", "elastix"): 32,
    ("hands", "FAIR"): 73,
    ("brain", "FAIR"): 67,
    ("mri", "FAIR"): 77,
}
