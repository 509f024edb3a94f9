"""Images are found inside their folder only, and every unusable file has a reason."""

from __future__ import annotations

import errno
import io
import os
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from evpv_prm.data.images import (
    MAX_SIDE,
    ImageError,
    check_image,
    load_images,
    mime_type,
    resolve_image,
)
from evpv_prm.engine.base import Failure, Image
from evpv_prm.errors import UserError

FORMATS = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
}


def encode(format: str, size: tuple[int, int] = (40, 30)) -> bytes:
    stream = io.BytesIO()
    Pillow.effect_noise(size, 50).convert("RGB").save(stream, format)
    return stream.getvalue()


CONTENT = {name: encode(name) for name in FORMATS}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "World").mkdir(parents=True)
    (folder / "World" / "1.png").write_bytes(CONTENT["PNG"])
    return folder


def test_images_come_in_the_order_of_the_record(root):
    (root / "2.jpg").write_bytes(CONTENT["JPEG"])
    images = load_images(root, ["2.jpg", "World/1.png", "2.jpg"])
    assert images == [Image(root / name) for name in ("2.jpg", "World/1.png", "2.jpg")]


def test_the_folder_name_in_front_is_left_out(root):
    assert resolve_image(root, "images/World/1.png") == root / "World/1.png"
    assert resolve_image(root, "images/gone.png") == root / "gone.png"


def test_the_path_as_written_comes_first(root):
    (root / "images" / "World").mkdir(parents=True)
    (root / "images" / "World" / "1.png").write_bytes(CONTENT["PNG"])
    assert resolve_image(root, "images/World/1.png") == root / "images/World/1.png"


@pytest.mark.parametrize(
    "relative", ["../secret.png", "World/../../secret.png", "images/../../secret.png", "link.png"]
)
def test_what_leaves_the_folder_is_refused(root, relative):
    secret = root.parent / "secret.png"
    secret.write_bytes(CONTENT["PNG"])
    (root / "link.png").symlink_to(secret)
    with pytest.raises(ImageError, match="outside the image folder") as caught:
        resolve_image(root, relative)
    assert isinstance(caught.value, UserError)
    failure = load_images(root, [relative])
    assert failure == caught.value.failure
    assert failure.kind == "image_outside_root"


def test_absolute_paths_are_refused_even_inside(root):
    failure = load_images(root, [str(root / "World" / "1.png")])
    assert isinstance(failure, Failure)
    assert failure.kind == "image_outside_root"


def test_links_inside_the_folder_and_a_linked_folder_are_fine(root):
    (root / "again.png").symlink_to(root / "World" / "1.png")
    (root.parent / "elsewhere").symlink_to(root)
    assert isinstance(load_images(root.parent / "elsewhere", ["again.png"]), list)
    assert isinstance(load_images(root, ["World/../World/1.png"]), list)


def test_what_cannot_be_a_path_is_missing(root):
    (root / "loop").symlink_to(root / "loop")
    for relative in ("a\0b.png", "loop", "World/1.png/2.png", "gone.png", "x" * 300):
        failure = load_images(root, [relative])
        assert isinstance(failure, Failure)
        assert failure.kind in {"missing_image", "unreadable_image"}


def test_the_first_failure_names_its_image(root):
    assert load_images(root, ["World/1.png", "gone.png", "../x"]) == Failure(
        "missing_image", "gone.png does not exist"
    )


@pytest.mark.parametrize("format", FORMATS)
def test_sound_files_have_no_problem_whatever_their_name(tmp_path, format):
    path = tmp_path / "picture.txt"
    path.write_bytes(CONTENT[format])
    assert check_image(path) is None


@pytest.mark.parametrize("format", FORMATS)
def test_a_truncated_file_is_unreadable(tmp_path, format):
    """Regression: an unreadable image was replaced by a sentence and judged all the same."""
    path = tmp_path / "cut.png"
    for length in (len(CONTENT[format]) // 2, len(CONTENT[format]) * 9 // 10, 5):
        path.write_bytes(CONTENT[format][:length])
        assert check_image(path).kind == "unreadable_image"


def test_what_is_no_image_is_unreadable(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "page.png").write_text("<html>404</html>")
    (tmp_path / "empty.png").touch()
    reasons = {
        ".": "is a directory",
        "pipe": "is not a file",
        "page.png": "is not one of PNG, JPEG, WEBP, GIF, BMP",
        "empty.png": "is empty",
    }
    for name, reason in reasons.items():
        assert check_image(tmp_path / name) == Failure("unreadable_image", reason)


def test_a_file_without_permission_is_unreadable(root, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Pillow, "open", refuse)
    assert check_image(root / "World/1.png") == Failure(
        "unreadable_image", "cannot be read: Permission denied"
    )


@pytest.mark.parametrize("size", [(20_000, 10), (10, MAX_SIDE + 1)])
def test_a_side_above_the_limit_is_too_large(tmp_path, size):
    path = tmp_path / "wide.png"
    Pillow.new("1", size).save(path)
    failure = check_image(path)
    assert failure.kind == "image_too_large"
    assert f"has {size[0]:,} × {size[1]:,} pixels" in failure.detail


def test_a_side_at_the_limit_is_fine(tmp_path):
    Pillow.new("1", (MAX_SIDE, 2)).save(tmp_path / "wide.png")
    assert check_image(tmp_path / "wide.png") is None


@pytest.mark.parametrize("side", [10_000, 65_535])
def test_too_many_pixels_are_not_decoded(tmp_path, recwarn, side):
    """A few bytes can claim gigabytes; Pillow warns of the first size and refuses the second."""
    path = tmp_path / "bomb.gif"
    path.write_bytes(CONTENT["GIF"][:6] + struct.pack("<HH", side, side) + CONTENT["GIF"][10:])
    assert check_image(path).kind == "image_too_large"
    assert not recwarn.list


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from(sorted(FORMATS)),
    st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=6)), min_size=1, max_size=4),
)
def test_a_damaged_file_is_a_failure_and_never_an_error(tmp_path, format, edits):
    content = bytearray(CONTENT[format])
    for position, piece in edits:
        content[position : position + 3] = piece
    path = tmp_path / "damaged"
    path.write_bytes(content)
    failure = check_image(path)
    assert failure is None or failure.kind in {"unreadable_image", "image_too_large"}


@pytest.mark.parametrize(("format", "name"), FORMATS.items())
def test_mime_type_comes_from_the_content(format, name):
    """Regression: JPEG files were sent as "image/jpg", which is no MIME type."""
    assert mime_type(CONTENT[format]) == name


@pytest.mark.parametrize("content", [b"", b"\x89PNG", b"RIFF1234WAVE", b"<svg>"])
def test_other_content_has_no_mime_type(content):
    with pytest.raises(ImageError, match="expected one of PNG"):
        mime_type(content)
