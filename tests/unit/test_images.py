"""Image files: decoded, resized and converted in one place, or refused in one line."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import v2

from reprise.errors import RepriseError
from reprise.images import UPRIGHT, image_size, list_images, open_image, read_image, read_rgb

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 8, 3), dtype=np.uint8)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Image.fromarray(PIXELS).save(path)
    return path


def test_pixels_are_those_of_the_file_and_converted_or_resized_on_request(picture: Path) -> None:
    assert np.array_equal(read_image(picture), PIXELS)
    grey = np.asarray(Image.fromarray(PIXELS).convert("L"))
    assert np.array_equal(read_image(picture, "L"), grey)
    nearest = read_image(picture, size=(4, 6), resample=Image.Resampling.NEAREST)
    assert np.array_equal(nearest, PIXELS[1::2, 1::2])
    assert read_image(picture, size=(4, 6)).dtype == np.uint8


def test_a_size_is_read_without_pixels(picture: Path) -> None:
    picture.write_bytes(picture.read_bytes()[:60])
    assert image_size(picture) == (8, 12)
    picture.write_bytes(b"text")
    with pytest.raises(RepriseError, match=r"picture.png: cannot be decoded .*; replace it"):
        image_size(picture)


# where the four corners of the upright image are in the file: upper left, upper right, lower left,
# lower right (EXIF 2.32, table 6)
CORNERS = {
    1: "abcd", 2: "badc", 3: "dcba", 4: "cdab", 5: "acbd", 6: "bdac", 7: "dbca", 8: "cadb",
}  # fmt: skip


@pytest.mark.parametrize("orientation", CORNERS)
@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_the_orientation_of_a_camera_is_applied(
    orientation: int, ending: str, tmp_path: Path
) -> None:
    shades = {corner: 60 * number for number, corner in enumerate("abcd")}
    stored = np.array([shades[corner] for corner in CORNERS[orientation]], np.uint8).reshape(2, 2)
    height, width = (16, 32) if orientation < 5 else (32, 16)
    pixels = np.kron(stored, np.ones((height // 2, width // 2), np.uint8))
    exif, path = Image.Exif(), tmp_path / f"a.{ending}"
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    upright = np.kron(np.array([[0, 60], [120, 180]]), np.ones((8, 16)))
    assert image_size(path) == open_image(path).size == (32, 16)
    assert np.abs(read_image(path).astype(int) - upright).max() < 10  # JPEG is not exact
    assert np.abs(read_rgb(path, 16)[..., 1] - upright[:, 8:24]).max() < 10
    assert (orientation in UPRIGHT) == (orientation > 1)


@pytest.mark.filterwarnings("ignore:.*EXIF")
@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_a_damaged_exif_block_leaves_an_image_as_it_is(ending: str, tmp_path: Path) -> None:
    exif, path, rng = Image.Exif(), tmp_path / f"a.{ending}", np.random.default_rng(0)
    exif[0x0112] = 6
    pixels, whole = np.zeros((12, 8, 3), np.uint8), exif.tobytes()
    sizes = set()
    for _ in range(300):
        block = bytearray(whole[: rng.integers(7, len(whole) + 1)])
        for place in rng.integers(0, len(block), 2):
            block[place] = rng.integers(256)
        Image.fromarray(pixels).save(path, exif=bytes(block))
        sizes.add(open_image(path).size)
        assert image_size(path) == open_image(path).size
    assert sizes == {(8, 12), (12, 8)}


def test_an_image_that_cannot_be_decoded_is_named(picture: Path) -> None:
    picture.write_bytes(picture.read_bytes()[:60])
    with pytest.raises(RepriseError, match=r"picture.png: cannot be decoded as an image .*rebuild"):
        read_image(picture, advice="rebuild it")
    picture.write_bytes(b"text")
    with pytest.raises(RepriseError, match=r"picture.png: cannot be decoded .*; replace it"):
        open_image(picture)
    with pytest.raises(RepriseError, match=r"other.png: not found; replace it"):
        read_image(picture.with_name("other.png"))


def test_more_than_sixteen_bits_are_refused(picture: Path) -> None:
    Image.fromarray(PIXELS[..., 0].astype(np.float32)).save(picture, "TIFF")
    with pytest.raises(RepriseError, match="picture.png: mode F has more than 16 bits"):
        read_image(picture)
    Image.fromarray(PIXELS[..., 0].astype(np.int32) * 1000).save(picture, "TIFF")
    with pytest.raises(RepriseError, match="picture.png: has values outside 0 to 65535"):
        read_image(picture)


@pytest.mark.parametrize("shape", [(64, 64), (70, 128), (131, 97), (20, 31)])
def test_scaling_and_cropping_is_torchvisions(shape: tuple[int, int], tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    transform = v2.Compose([v2.Resize(64), v2.CenterCrop(64)])
    torchvisions = np.asarray(transform(Image.open(tmp_path / "a.png")))
    assert np.array_equal(read_rgb(tmp_path / "a.png", 64), torchvisions)


def test_gray_and_transparent_images_become_rgb_of_eight_bits(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    gray = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(gray).save(path)
    assert np.array_equal(read_rgb(path, None), np.repeat(gray[..., None], 3, axis=2))
    rgba = np.dstack([gray, gray + 1, gray + 2, np.full_like(gray, 7)])
    Image.fromarray(rgba).save(path)
    assert np.array_equal(read_rgb(path, None), rgba[..., :3])
    Image.fromarray(gray.astype(np.uint16) * 1000).save(path)
    high = (gray.astype(np.uint16) * 1000 >> 8).astype(np.uint8)
    assert np.array_equal(read_rgb(path, None), np.repeat(high[..., None], 3, axis=2))


def test_images_of_a_folder_are_listed_by_name(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpg", "c.jpeg", "d.TIF", "e.webp", "f.bmp", "._a.jpg", "notes.txt"):
        (tmp_path / name).touch()
    names = [path.name for path in list_images(tmp_path)]
    assert names == ["a.jpg", "b.PNG", "c.jpeg", "d.TIF", "e.webp", "f.bmp"]


def test_an_image_file_with_several_images_is_refused(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    for ending in ("tif", "webp", "png"):
        path = tmp_path / f"a.{ending}"
        frames[0].save(path, save_all=True, append_images=frames[1:])
        with pytest.raises(RepriseError, match="it has several images; save one"):
            open_image(path)
    frames[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=frames[1:])
    assert open_image(tmp_path / "a.jpg").size == (8, 8)  # a camera's, with its preview


def test_the_center_is_cropped_at_the_scale_of_the_image(picture: Path) -> None:
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    top, left = round((pixels.shape[0] - 4) / 2), round((pixels.shape[1] - 4) / 2)
    assert np.array_equal(read_rgb(picture, 4, "crop"), pixels[top : top + 4, left : left + 4])
    with pytest.raises(RepriseError, match=r"smaller than the crop of 999 x 999; use a smaller"):
        read_rgb(picture, 999, "crop")


@pytest.mark.parametrize("format", ["GIF", "ICO", "PPM", "EPS"])
def test_only_the_decoders_of_the_listed_formats_run(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow would start Ghostscript for an EPS file, whatever the file's name."""
    monkeypatch.setattr("subprocess.check_call", lambda *_, **__: pytest.fail("a program ran"))
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(path, format)
    for read in (read_image, image_size):
        with pytest.raises(
            RepriseError, match=r"a.png: .* \(not PNG, JPEG, TIFF, WEBP, BMP\); replace it"
        ):
            read(path)


def test_an_image_of_more_than_50_million_pixels_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for width, is_allowed in ((10_000, True), (10_001, False)):
        Image.new("1", (width, 5_000)).save(path)
        if is_allowed:
            assert open_image(path).size == (width, 5_000)
        else:
            with pytest.raises(RepriseError, match="10001 x 5000 pixels are more than 50 million"):
                open_image(path)


@pytest.mark.parametrize("name", [b"\xff.png", b"a\xe9.jpg"])
def test_a_name_that_is_not_utf_8_is_refused(name: bytes, tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(name)).touch()
    with pytest.raises(RepriseError, match="the name is not UTF-8; rename it") as error:
        list_images(tmp_path)
    assert str(error.value).isascii()


def test_an_image_is_squashed_or_covers_with_either_interpolation(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))
    image.save(path)
    for name, mode in (
        ("bilinear", v2.InterpolationMode.BILINEAR),
        ("bicubic", v2.InterpolationMode.BICUBIC),
    ):
        squash, cover = v2.Resize((16, 20), mode), v2.Resize(16, mode)
        squashed = read_rgb(path, (16, 20), "squash", name)  # type: ignore[arg-type]
        assert np.array_equal(squashed, np.asarray(squash(image)))
        covered = np.asarray(v2.CenterCrop(16)(cover(image)))
        assert np.array_equal(read_rgb(path, 16, "cover", name), covered)  # type: ignore[arg-type]
    assert np.array_equal(read_rgb(path, None, "squash"), np.asarray(image))
    assert np.array_equal(read_rgb(path, (40, 60), "squash"), np.asarray(image))
