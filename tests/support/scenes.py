"""Small random problems on which laws of the waist and the solvers are tested."""

from dataclasses import fields, replace

import numpy as np

from ba.io import synthetic
from ba.io.options import Scene
from ba.model.camera import CAMERAS
from ba.model.problem import Free, Problem, make_problem
from ba.model.residual import project
from ba.model.rotation import ROTATIONS, so3

N_IMAGES, N_POINTS = 4, 7

FAMILIES = list({of.tangent_map.__module__: name for name, of in reversed(ROTATIONS.items())}.values())
"""One rotation a module, for tests that cross rotations with much else: those of a module differ in their axes only."""


def random_problem(
    rng: np.random.Generator,
    models: tuple[str, ...] = ("pinhole",),
    vectors: np.ndarray | None = None,
    noise_px: float = 1.0,
    covariances: bool = False,
    n_points: int = N_POINTS,
) -> Problem:
    """Four images that all see all points; image i has camera i modulo the number of models.

    vectors (4, 3): the images' rotation vectors, radians, random if not given. Points lie in front of every camera.
    """
    vectors = rng.normal(size=(N_IMAGES, 3)) if vectors is None else vectors
    rotations = so3.exp(vectors)
    centers = rng.normal(scale=0.2, size=(N_IMAGES, 3))
    # A small cloud far along each camera's own axis: the translation puts it there, whatever the rotation.
    points = rng.normal(scale=0.5, size=(n_points, 3)) + 0.3
    translations = np.array([0.0, 0.0, 6.0]) - np.einsum("nij,nj->ni", rotations, centers)
    width = max(len(CAMERAS[name].parameters) for name in models)
    intrinsics = np.zeros((len(models), width))
    for row, name in zip(intrinsics, models, strict=True):
        sample = CAMERAS[name].sample(rng)
        row[: len(sample)] = sample
    image, point = (index.ravel() for index in np.mgrid[:N_IMAGES, :n_points])
    roots = rng.normal(size=(len(image), 2, 2)) + 2.0 * np.eye(2)
    problem = make_problem(
        rotations=rotations,
        translations=translations,
        camera_models=models,
        camera_of_image=np.arange(N_IMAGES) % len(models),
        intrinsics=intrinsics,
        points=points,
        image_of_obs=image,
        point_of_obs=point,
        pixels=np.zeros((len(image), 2)),
        covariances=roots @ roots.transpose(0, 2, 1) if covariances else None,
    )
    exact = project(problem).pixels
    return replace(problem, pixels=exact + noise_px * rng.normal(size=exact.shape))


def arrays_of(problem: Problem) -> dict[str, object]:
    parted = ("free", "rigs", "source")
    named = {part.name: getattr(problem, part.name) for part in fields(Problem) if part.name not in parted}
    if problem.rigs is not None:
        named |= {f"rigs_{name}": value for name, value in vars(problem.rigs).items()}
    return named | {f"free_{part.name}": getattr(problem.free, part.name) for part in fields(Free)}


def assert_same_bits(first: Problem, second: Problem) -> None:
    others = arrays_of(second)
    assert others.keys() == arrays_of(first).keys()
    for name, array in arrays_of(first).items():
        if isinstance(array, np.ndarray):
            assert array.dtype == others[name].dtype, name
            assert array.shape == others[name].shape, name
            assert array.tobytes() == others[name].tobytes(), name
        else:
            assert array == others[name], name


def sample_problem(use_covariance: bool = True) -> Problem:
    problem = synthetic.generate(Scene(images=4, points=12, use_covariance=use_covariance))
    rng = np.random.default_rng(0)
    masks = {part.name: rng.random(getattr(problem.free, part.name).shape) < 0.5 for part in fields(Free)}
    return problem.with_free(Free(**masks))
