"""What a comparison kept is used again where it is whole, named and done again where it is damaged."""

import pytest

import ba
from ba.errors import UserError
from ba.studies.comparison import Findings
from ba.system.locks import lock

SMALL = """
base: {solver: {backend: schur, threads: 1}, noise: {rotation_deg: 0.5, points: 0.02}}
datasets:
  ring: {data: {scene: {images: 4, points: 24, camera: bal}}}
vary:
  rotation: [so3_left, quaternion]
seeds: [0]
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    folder = tmp_path_factory.mktemp("kept")
    (folder / "small.yaml").write_text(SMALL)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("ba.studies.rotation_alignment.stress.run", lambda rotations: ())
        return ba.compare(folder / "small.yaml", out=folder / "out", workers=1)


@pytest.fixture(autouse=True)
def unstressed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stress scenes take seconds and are tested where they are made."""
    monkeypatch.setattr("ba.studies.rotation_alignment.stress.run", lambda rotations: ())


def again(done: Findings) -> Findings:
    return ba.compare(done.folder.parent / "small.yaml", out=done.folder, workers=1)


@pytest.mark.parametrize("kind", ["runs/*.json", "runs/*.npy", "timings/*.json", "starts/[!t]*.npz", "starts/truth*"])
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_what_is_damaged_is_named_and_done_again(done: Findings, kind: str, share: float) -> None:
    path = sorted(done.folder.glob(kind))[0]
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    found = again(done)
    assert len(found.notes) == 1
    assert found.notes[0].startswith(f"{path}: damaged, so done again (")
    assert "\n" not in found.notes[0]
    assert [o.cost for o in found.outcomes] == [o.cost for o in done.outcomes]
    assert again(done).notes == ()


def test_a_second_comparison_in_the_folder_is_refused(done: Findings) -> None:
    import os

    handle = os.open(done.folder, os.O_RDONLY)
    try:
        assert lock(handle)
        with pytest.raises(UserError, match="another comparison is at work there"):
            again(done)
    finally:
        os.close(handle)


def test_files_that_a_killed_one_was_writing_go(done: Findings) -> None:
    left = done.folder / "runs" / ".0123abcd-x.npy"
    left.write_bytes(b"half")
    again(done)
    assert not left.exists()
