import dataclasses
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from sparx_nas.data import find_data, open_data, store
from sparx_nas.data.decode import decode, to_rgb
from sparx_nas.ground.errors import DataError

GOOD = 10


def picture(seed: int, size=(40, 30)) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (*reversed(size), 3)).astype(np.uint8))


def made(root: Path, parts=("train", "val"), classes=("ant", "bee")) -> Path:
    for number, part in enumerate(parts):
        for label, name in enumerate(classes):
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(GOOD):
                suffix = ("png", "jpg")[index % 2]
                seed = 1000 * number + 100 * label + index
                picture(seed).save(folder / f"{index}.{suffix}")
    return root


def opened(root: Path, **options):
    return open_data("folder", **{"data_dir": root, "image_size": 16, "seed": 0} | options)


def epoch(data, split: str = "train", *, train: bool = True):
    read = list(data.batches(split, 4, seed=0, epoch=0, train=train, device="cpu"))
    return torch.cat([images for images, _ in read]), torch.cat([labels for _, labels in read])


def break_some(root: Path) -> dict[str, str]:
    """Put one file of every kind of damage beside the good ones; return what is said of each."""
    folder = root / "train" / "ant"
    (folder / "zero.png").write_bytes(b"")
    (folder / "text.jpg").write_text("this is no image")
    (folder / "notes.txt").write_text("neither is this")
    (folder / "cut.jpg").write_bytes((folder / "1.jpg").read_bytes()[:900])
    (folder / "cut.png").write_bytes((folder / "0.png").read_bytes()[:900])
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    Image.new("F", (8, 8)).save(folder / "float.tiff")
    (folder / ".hidden.png").write_text("not looked at")
    return {
        "zero.png": "empty file",
        "text.jpg": "UnidentifiedImageError",
        "notes.txt": ".txt is no image format",
        "cut.jpg": "truncated",
        "cut.png": "truncated",
        "gone.png": "cannot be opened",
        "float.tiff": "floating-point",
    }


def test_without_test_folder_val_is_the_test_split(tmp_path: Path) -> None:
    data = opened(made(tmp_path))
    assert data.splits == {"train": 16, "val": 4, "test": 20}
    assert set(data.stores) == {"train", "val"}
    assert "test is val/" in data.rule
    assert data.classes == ("ant", "bee")
    assert find_data("folder", tmp_path).images == {"train": 20, "val": 20}


def test_with_test_folder_every_part_is_its_split(tmp_path: Path) -> None:
    data = opened(made(tmp_path, ("train", "val", "test")), with_test=True)
    assert data.splits == {"train": 20, "val": 20, "test": 20}
    assert "test is test/; val is val/" in data.rule


def test_a_path_as_name_is_an_image_folder(tmp_path: Path) -> None:
    made(tmp_path)
    by_path = open_data(str(tmp_path), data_dir=None, image_size=16, seed=0)
    assert by_path.data_id == opened(tmp_path).data_id


def test_broken_files_are_skipped_counted_and_named(tmp_path: Path) -> None:
    wanted = break_some(made(tmp_path))
    data = opened(tmp_path)
    said = {Path(skip.path).name: skip.reason for skip in data.skipped}
    assert said.keys() == wanted.keys()
    for name, reason in wanted.items():
        assert reason in said[name], (name, said[name])
    assert data.describe()["skipped_count"] == len(wanted)
    assert data.splits["train"] + data.splits["val"] == 20
    images, labels = epoch(data, train=False)
    assert images.shape == (data.splits["train"], 3, 16, 16)
    assert torch.isfinite(images).all()
    assert len(labels) == len(images)


def test_streaming_skips_the_same_files(tmp_path: Path, monkeypatch) -> None:
    break_some(made(tmp_path))
    kept = opened(tmp_path)
    monkeypatch.setattr(store, "CACHE_IMAGES", 3)
    data = opened(tmp_path)
    assert data.describe()["streamed"]
    assert data.data_id == kept.data_id
    for split in ("train", "val"):
        images, labels = epoch(data, split, train=False)
        wanted, wanted_labels = epoch(kept, split, train=False)
        assert torch.equal(labels, wanted_labels)
        assert images.shape == wanted.shape
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (data.mean, data.std))
        kept_mean, kept_std = (torch.tensor(v).view(3, 1, 1) for v in (kept.mean, kept.std))
        torch.testing.assert_close(images * std + mean, wanted * kept_std + kept_mean)
    assert {skip.path for skip in data.skipped} == {skip.path for skip in kept.skipped}


def test_streamed_training_is_decided_by_the_seed_alone(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(store, "CACHE_IMAGES", 3)
    data = opened(made(tmp_path))
    torch.manual_seed(0)
    state = torch.get_rng_state()
    images, labels = epoch(data)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    again, same_labels = epoch(data)
    assert torch.equal(images, again)
    assert torch.equal(labels, same_labels)
    assert not torch.equal(images, epoch(data, train=False)[0])
    assert torch.equal(images, epoch(dataclasses.replace(data, workers=1))[0])


def test_every_mistake_of_a_folder_is_reported_at_once(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "train" / "cat").mkdir()
    (tmp_path / "train" / "cat" / "empty.png").write_bytes(b"")
    (tmp_path / "val" / "dog").mkdir()
    (tmp_path / "val" / "eel").mkdir()
    with pytest.raises(DataError) as error:
        opened(tmp_path)
    text = str(error.value)
    assert "3 mistakes" in text
    assert "class 'cat' has no image in train/" in text
    assert "class 'dog' is in val/, but not in train/" in text
    assert "class 'eel' is in val/, but not in train/" in text


def test_a_class_whose_images_are_all_broken_is_named(tmp_path: Path) -> None:
    made(tmp_path)
    for file in (tmp_path / "train" / "bee").iterdir():
        file.write_text("broken")
    with pytest.raises(DataError, match="every train image of class 'bee' is broken"):
        opened(tmp_path)


def test_a_folder_without_parts_or_classes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither class folders nor images"):
        opened(tmp_path)
    (tmp_path / "train").mkdir()
    (tmp_path / "val").mkdir()
    with pytest.raises(DataError, match="train/ has 0 class folders"):
        opened(tmp_path)
    with pytest.raises(DataError, match="there is no folder"):
        opened(tmp_path / "nowhere")


def test_one_pixel_changes_the_identity_of_a_folder(tmp_path: Path) -> None:
    made(tmp_path)
    file = tmp_path / "val" / "ant" / "0.bmp"
    image = picture(5)
    image.save(file)
    before = opened(tmp_path).data_id
    red, green, blue = image.getpixel((3, 3))
    image.putpixel((3, 3), (red ^ 1, green, blue))
    image.save(file)
    assert opened(tmp_path).data_id != before


def test_the_identity_does_not_depend_on_where_the_folder_lies(tmp_path: Path) -> None:
    first, second = made(tmp_path / "a"), made(tmp_path / "b")
    assert opened(first).data_id == opened(second).data_id


def test_names_that_are_no_utf8_can_be_recorded(tmp_path: Path) -> None:
    made(tmp_path)
    name = b"\xff\xfe.png".decode("utf-8", "surrogateescape")
    (tmp_path / "train" / "ant" / name).write_text("broken")
    data = opened(tmp_path)
    assert data.skipped[0].path.encode().endswith(b".png")


@pytest.mark.parametrize(
    ("image", "rgb"),
    [
        (Image.new("1", (4, 4), 1), (255, 255, 255)),
        (Image.new("L", (4, 4), 100), (100, 100, 100)),
        (Image.new("LA", (4, 4), (100, 0)), (255, 255, 255)),
        (Image.new("RGBA", (4, 4), (10, 20, 30, 255)), (10, 20, 30)),
        (Image.new("CMYK", (4, 4), (0, 255, 255, 0)), (255, 0, 0)),
        (Image.new("I;16", (4, 4), 200 * 256), (200, 200, 200)),
        (Image.new("I", (4, 4), 200 * 256), (200, 200, 200)),
        (Image.new("RGB", (4, 4), (1, 2, 3)).quantize(), (1, 2, 3)),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else "",
)
def test_every_mode_becomes_rgb(image: Image.Image, rgb: tuple[int, int, int]) -> None:
    assert to_rgb(image).getpixel((1, 1)) == rgb


def test_a_transparent_palette_and_16_bits_through_files(tmp_path: Path) -> None:
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([9, 9, 9, 50, 60, 70])
    palette.putpixel((0, 0), 1)
    palette.save(tmp_path / "p.png", transparency=b"\x00\xff")
    decoded = decode(tmp_path / "p.png", 4)
    assert decoded.getpixel((0, 0)) == (50, 60, 70)
    assert decoded.getpixel((1, 1)) == (255, 255, 255)
    Image.new("I;16", (4, 4), 0x8001).save(tmp_path / "deep.png")
    assert decode(tmp_path / "deep.png", 4).getpixel((0, 0)) == (128, 128, 128)


def test_a_large_jpeg_is_reduced_while_reading(tmp_path: Path) -> None:
    picture(0, (800, 600)).save(tmp_path / "large.jpg")
    assert decode(tmp_path / "large.jpg", 70).size == (100, 75)
    assert decode(tmp_path / "large.jpg", 700).size == (800, 600)


def test_a_huge_announced_size_is_skipped(tmp_path: Path) -> None:
    made(tmp_path)
    head = b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 60000, 60000, 1, 24, *[0] * 6)
    (tmp_path / "train" / "ant" / "bomb.bmp").write_bytes(head)
    data = opened(tmp_path)
    assert "DecompressionBombError" in data.skipped[0].reason


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_read_as_viewers_show_it(orientation: int, tmp_path: Path) -> None:
    image = Image.new("RGB", (80, 40), "black")
    image.paste("white", (0, 0, 40, 20))
    said = Image.Exif()
    said[0x0112] = orientation
    for name, slack in (("x.png", 0), ("x.jpg", 8)):
        image.save(tmp_path / name, exif=said)
        with Image.open(tmp_path / name) as stored:
            shown = np.asarray(ImageOps.exif_transpose(stored).convert("RGB")).astype(int)
        read = np.asarray(decode(tmp_path / name, 40)).astype(int)
        assert read.shape == shown.shape
        assert abs(read - shown).max() <= slack


def test_broken_exif_data_do_not_cost_the_image(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 4), "white")
    image.save(tmp_path / "x.jpg", exif=b"Exif\x00\x00MM\x00\x2a\xff\xff\xff\xff\x01")
    assert decode(tmp_path / "x.jpg", 4).size == (8, 4)
