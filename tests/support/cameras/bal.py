import numpy as np


def pixel(params: np.ndarray, x: float, y: float) -> list[float]:
    f, k1, k2 = params[:3]
    s = x**2 + y**2
    distortion = 1.0 + k1 * s + k2 * s**2
    return [f * distortion * x, f * distortion * y]
