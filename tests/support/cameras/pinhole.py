import numpy as np


def pixel(params: np.ndarray, x: float, y: float) -> list[float]:
    fx, fy, cx, cy, skew = params[:5]
    return [fx * x + skew * y + cx, fy * y + cy]
