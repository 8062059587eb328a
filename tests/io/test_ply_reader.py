"""Vertices are read from whatever writers make, and no header is believed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ba.errors import UserError
from ba.io import ply

POINTS = np.array([[1.0, -2.0, 3.0], [40.0, 5.0, -6.0], [7.0, 8.0, 90.0]])
VERTEX = "element vertex 3\nproperty {0} x\nproperty {0} y\nproperty {0} z\n"
FACE = "element face 2\nproperty list uchar int vertex_indices\n"
FACES = b"\x03" + bytes(12) + b"\x04" + bytes(16)
BEFORE = "element size 2\nproperty short width\nelement strip 2\nproperty list uchar ushort i\nproperty char kind\n"


def file_of(folder: Path, content: bytes) -> Path:
    path = folder / "points.ply"
    path.write_bytes(content)
    return path


def ascii_file(header: str, body: str) -> bytes:
    return f"ply\nformat ascii 1.0\n{header}end_header\n{body}".encode()


def binary(order: str, header: str, *parts: Any) -> bytes:
    name = {"<": "little", ">": "big"}[order]
    body = b"".join(part if isinstance(part, bytes) else part.tobytes() for part in parts)
    return f"ply\nformat binary_{name}_endian 1.0\n{header}end_header\n".encode() + body


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ply.TYPES)
def test_coordinates_of_any_type_and_order_are_read(order: str, kind: str, tmp_path: Path) -> None:
    points = np.abs(POINTS) if kind.startswith("u") else POINTS
    content = binary(order, VERTEX.format(kind), points.astype(order + ply.TYPES[kind]))
    assert_array_equal(ply.read_vertices(file_of(tmp_path, content)), points)


@pytest.mark.parametrize("order", ["<", ">"])
def test_elements_before_and_after_the_vertices_are_stepped_over(order: str, tmp_path: Path) -> None:
    sizes = np.array([9, 9], f"{order}i2")
    strips = b"\x02" + np.array([1, 2], f"{order}u2").tobytes() + b"\x05" + b"\x00" + b"\x06"
    content = binary(order, BEFORE + VERTEX.format("float") + FACE, sizes, strips, POINTS.astype(f"{order}f4"), FACES)
    assert_array_equal(ply.read_vertices(file_of(tmp_path, content)), POINTS)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_with_any_end_of_lines_is_read(end: str, tmp_path: Path) -> None:
    rows = "1 -2 3 255\n\n40 5 -6 0\n7.0e0 8 90 1"
    body = f"1\n2\n2 7 8 1\n0 1\n{rows}\n3 0 1 2\n3 0 1 2\n"
    header = (
        "comment " + "x" * 100_000 + "\nobj_info y\n" + BEFORE + VERTEX.format("double") + "property uchar red\n" + FACE
    )
    content = ascii_file(header, body).replace(b"\n", end.encode())
    assert_array_equal(ply.read_vertices(file_of(tmp_path, content)), POINTS)


@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_what_open3d_writes_is_read(as_text: bool, packed: bool, tmp_path: Path) -> None:
    import open3d

    mesh = open3d.geometry.TriangleMesh.create_icosahedron()
    mesh.compute_vertex_normals()
    mesh.paint_uniform_color([0.2, 0.4, 0.6])
    cloud = open3d.geometry.PointCloud(mesh.vertices)
    cloud.colors = mesh.vertex_colors
    open3d.io.write_triangle_mesh(str(tmp_path / "mesh.ply"), mesh, write_ascii=as_text, compressed=packed)
    open3d.io.write_point_cloud(str(tmp_path / "cloud.ply"), cloud, write_ascii=as_text, compressed=packed)
    for name in ("mesh.ply", "cloud.ply"):
        found = ply.read_vertices(tmp_path / name)
        assert np.allclose(found, np.asarray(mesh.vertices), atol=0 if not as_text else 1e-6), name


def test_what_is_written_is_read(tmp_path: Path) -> None:
    ply.write_vertices(tmp_path / "a.ply.gz", POINTS, (1, 2, 3), "comment one\n")
    assert_array_equal(ply.read_vertices(tmp_path / "a.ply.gz"), POINTS)


SOUND = binary("<", VERTEX.format("double"), POINTS)
TEXT = ascii_file(VERTEX.format("double"), "1.25 2.25 3.25\n4 5 6\n7 8 90\n")
LISTED = binary("<", "element face 1\nproperty list int int i\n" + VERTEX.format("double"), np.int32([5]), POINTS)
BAD: dict[str, tuple[bytes, str]] = {
    "no header": (b"none", "line 1: 'none' found, `ply` is the first line"),
    "header cut": (SOUND[: SOUND.index(b"end_h")], "the header does not end"),
    "no format": (TEXT.replace(b"format ascii 1.0\n", b""), "line 6: 'end_header' is no line of a PLY header"),
    "unknown format": (TEXT.replace(b"ascii", b"morse"), "line 2: 'format morse 1.0' is no line of a PLY header"),
    "unknown type": (
        TEXT.replace(b"double y", b"real y"),
        "line 5: property 'real y' is of no known type; there are: ",
    ),
    "list counted by reals": (
        TEXT.replace(b"property double y", b"property list float int y"),
        "line 5: property 'list float int y' is of no known type",
    ),
    "property of nothing": (TEXT.replace(b"element vertex 3\n", b""), "line 3: 'property double x' is no line"),
    "negative count": (TEXT.replace(b"vertex 3", b"vertex -3"), "line 3: 'element vertex -3' is no line"),
    "no vertices": (TEXT.replace(b"vertex", b"point"), "the header has 0 `element vertex COUNT`, one is right"),
    "vertices twice": (TEXT.replace(b"end_h", b"element vertex 3\nend_h"), "the header has 2 `element vertex COUNT`"),
    "no z": (TEXT.replace(b"double z", b"double w"), "its vertices have 0 properties z"),
    "x twice": (TEXT.replace(b"double z", b"double x"), "its vertices have 2 properties x"),
    "lists in vertices": (TEXT.replace(b"end_h", b"property list int int l\nend_h"), "its vertices have lists"),
    "too many properties": (
        TEXT.replace(b"end_h", b"property char a\n" * 1001 + b"end_h"),
        "more than 1000 properties",
    ),
    "cut": (SOUND[:-10], f"byte {len(SOUND) - 10}: the file ends after 2 of 3 vertices; it is cut short"),
    "bytes too many": (SOUND + b"12345", f"byte {len(SOUND)}: 5 bytes follow the last of 3 vertices"),
    "promises too much": (
        SOUND.replace(b"vertex 3", b"vertex 999999999999999999"),
        "ends after 3 of 999,999,999",
    ),
    "text promises too much": (
        TEXT.replace(b"vertex 3", b"vertex 999999999999999"),
        "line 10: the file ends after 3 of 999,999,999,999,999 vertices; it is cut short",
    ),
    "text cut": (TEXT[:-7], "line 9: the file ends after 2 of 3 vertices; it is cut short"),
    "line cut": (TEXT[:-3], "line 10: 2 numbers found, 3 for each vertex are announced"),
    "line too many": (TEXT + b"1 2 3\n", "line 11: more lines follow the last of 3 vertices"),
    "a word": (TEXT.replace(b"4 5 6", b"4 five 6"), "line 9: '4 five 6' found, 3 numbers expected"),
    "a list longer than the file": (
        LISTED.replace(np.int32([5]).tobytes(), np.int32([2**31 - 1]).tobytes()),
        "a list of face has 2147483647 entries, which are not there",
    ),
    "a list of negative length": (LISTED.replace(np.int32([5]).tobytes(), np.int32([-5]).tobytes()), "has -5 entries"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_file_is_one_message_with_its_place(name: str, tmp_path: Path) -> None:
    content, said = BAD[name]
    path = file_of(tmp_path, content)
    with pytest.raises(UserError) as caught:
        ply.read_vertices(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert said in message
    assert "\n" not in message
