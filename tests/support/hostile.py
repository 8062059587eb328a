"""A folder full of modules that must not be imported."""

from pathlib import Path

from tests import ROOT

INSTALLED = (
    "numpy scipy numba llvmlite yaml pydantic pydantic_core rich open3d PIL matplotlib pyarrow threadpoolctl psutil "
    "dash plotly torch tensorflow cupy pandas tbb icc_rt numba_config evil_backend"
)
STANDARD = (
    "argparse atexit json csv tempfile subprocess signal hashlib secrets difflib bz2 lzma gzip zipfile zlib logging "
    "html multiprocessing concurrent pickle socket selectors random statistics base64 asyncio queue uuid decimal ssl "
    "ctypes inspect ast dis tokenize xml email http unittest configparser shutil getpass platform resource"
)
AT_START = "sitecustomize usercustomize runpy typing contextlib pathlib importlib os encodings"
"""What Python may import before anything of ours. An empty entry in PYTHONPATH means these too,
which only its owner can mend."""
MARKS = "import os, sys\nwith open({folder!r} + '/' + __name__, 'a') as file:\n    print(sys.orig_argv, file=file)\n"
LADDER = """
base: {{camera: {{refine: all}}, solver: {{linear: dense}}}}
datasets: {{tiny: {{data: {{path: {data}}}}}}}
vary: {{rotation: [so3_left, cayley]}}
stop: {{max_iterations: 2}}
"""


def hostile(tmp_path: Path, marks: Path, names: str) -> Path:
    """A folder with data, configurations, and a module of each name that leaves a mark when it is imported."""
    place = tmp_path / "data"
    place.mkdir()
    for name in names.split():
        (place / f"{name}.py").write_text(MARKS.format(folder=str(marks)))
    (place / "matplotlibrc").write_text("backend: module://evil_backend\n")
    (place / ".numba_config.yaml").write_text("cache_locator_classes: numba_config.Locator\n")
    data = ROOT / "datasets" / "dubrovnik-3-7-pre.txt"
    (place / "scene.txt").write_bytes(data.read_bytes())
    (place / "run.yaml").write_text("data: {path: scene.txt}\nsolver: {max_iterations: 2}\n")
    (place / "compare.yaml").write_text(LADDER.format(data="scene.txt"))
    (place / "alignment.yaml").write_text("kind: rotation_alignment\nrotation: so3_left\nstarts: {count: 1}\n")
    return place


def found(marks: Path) -> dict[str, str]:
    return {mark.name: mark.read_text() for mark in marks.iterdir()}
