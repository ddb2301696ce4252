"""Gradients of definitions written in numpy: central differences in float64."""

import numpy as np


def numerical_gradient(function, arrays, which, step=1e-5):
    """Gradient of the scalar `function(*arrays)` at array number `which`; error about 1e-9 for smooth ones."""
    arrays = [np.asarray(array, np.float64) if np.issubdtype(array.dtype, np.floating) else array for array in arrays]
    gradient = np.zeros_like(arrays[which])
    for place in np.ndindex(*gradient.shape):
        sides = []
        for sign in (1, -1):
            moved = arrays[which].copy()
            moved[place] += sign * step
            sides.append(function(*arrays[:which], moved, *arrays[which + 1 :]))
        gradient[place] = (sides[0] - sides[1]) / (2 * step)
    return gradient
