"""Which folders of a person's own images are parts, which are classes, and what is refused."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sparx_nas.data import DataSet, find_data, open_data
from sparx_nas.ground.errors import DataError


def made(root: Path, counts: dict[str, int]) -> Path:
    """Make folders of so many images, no two of them alike."""
    rng = np.random.default_rng(len(counts))
    for name, count in counts.items():
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = rng.integers(0, 256, (9, 12, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{index}.png")
    return root


def opened(root: Path, **options) -> DataSet:
    wanted = {"data_dir": None, "image_size": 8, "seed": 0, "with_test": True}
    return open_data(str(root), **wanted | options)


def refused(root: Path) -> str:
    with pytest.raises(DataError) as error:
        opened(root)
    return f"{error.value}\n{error.value.hint}"


@pytest.mark.parametrize("train", ["", "train/", "Training/"])
def test_what_there_is_no_folder_for_is_drawn_by_seed_each_class_in_its_share(train, tmp_path):
    data = opened(made(tmp_path, {f"{train}ant": 50, f"{train}bee": 30, f"{train}cow": 20}))
    assert data.splits == {"train": 60, "val": 20, "test": 20}
    for split, wanted in (("train", [30, 18, 12]), ("val", [10, 6, 4]), ("test", [10, 6, 4])):
        assert np.bincount(data.stores[split].labels).tolist() == wanted
    assert data.classes == ("ant", "bee", "cow")
    rule = data.describe()["rule"]
    assert "test is 20 images drawn by seed 0, stratified by class" in rule
    assert "val is 20 train images drawn by seed 0" in rule
    assert opened(tmp_path, seed=1).data_id != data.data_id


@pytest.mark.parametrize(
    ("parts", "splits", "rule"),
    [
        (("train", "valid"), {"train": 16, "val": 4, "test": 6}, "test is valid/, for there is no"),
        (("train", "validation"), {"train": 16, "val": 4, "test": 6}, "test is validation/"),
        (("Train", "Test"), {"train": 16, "val": 4, "test": 6}, "test is Test/; val is 4 train"),
        (("training", "dev", "testing"), {"train": 20, "val": 6, "test": 6}, "val is dev/"),
    ],
)
def test_the_usual_names_of_parts_are_understood(parts, splits, rule, tmp_path):
    counts = {f"{part}/{name}": 3 for part in parts[1:] for name in ("ant", "bee")}
    data = opened(made(tmp_path, {f"{parts[0]}/ant": 10, f"{parts[0]}/bee": 10} | counts))
    assert data.splits == splits
    assert rule in data.rule
    assert sum(find_data(str(tmp_path), None).images.values()) == sum(splits.values())


def test_a_class_may_be_called_train(tmp_path):
    data = opened(made(tmp_path, {"bus": 10, "car": 10, "train": 10}))
    assert data.classes == ("bus", "car", "train")


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"train/animals/cat": 3, "train/animals/dog": 3, "val/animals/cat": 3}, "'animals' holds"),
        ({"animals/cat": 3, "animals/dog": 3, "bus": 3}, "holds cat/ and dog/ and no image"),
        ({"photos/cat": 3, "photos/dog": 3}, "photos"),
        ({"photos/train/cat": 3, "photos/val/cat": 3}, "'photos' holds train/ and val/"),
        ({"cat/train": 3, "cat/test": 3, "dog/train": 3, "dog/test": 3}, "'dog' holds test/"),
        ({"cat": 3, "cat/dog": 3, "dog": 3}, "'cat' holds dog/, and a class is called so"),
        ({"train": 3, "val": 3}, "train/ and val/ hold images, but no class folders"),
        ({"val/cat": 3, "val/dog": 3}, "there is val/, but no train/"),
        ({"train/cat": 3, "train/dog": 3, "val/cat": 3, "valid/cat": 3}, "val/ and valid/ both"),
        ({"train/cat": 3, "train/dog": 3, "test": 3}, "test/ has no image of the classes"),
        ({".": 4}, "holds 4 images, but no class folders"),
        ({"cat": 4}, "1 class folder, 2 are needed"),
        ({"cat": 4, "dog": 0}, "class 'dog' has no image"),
        ({"cat": 1, "dog": 1, "owl": 1}, "would have no image in train"),
    ],
)
def test_what_cannot_be_told_apart_is_refused_by_name(counts, said, tmp_path):
    assert said in refused(made(tmp_path, counts))


def test_one_folder_too_high_says_where_the_data_are(tmp_path):
    assert f"--data {tmp_path / 'photos'}" in refused(
        made(tmp_path, {"photos/a": 3, "photos/b": 3})
    )


def test_folders_within_classes_are_read_and_said_where_they_are_no_classes(tmp_path):
    data = opened(made(tmp_path, {"ant/images": 10, "bee/images": 10, "cow/images": 10}))
    assert sum(data.splits.values()) == 30
    assert any("ant/images/" in note for note in data.describe()["notes"])


def test_a_class_too_small_to_be_shared_out_is_said(tmp_path):
    data = opened(made(tmp_path, {"ant": 30, "bee": 30, "owl": 1}))
    assert "test has no image of class 'owl'" in data.notes


def test_images_in_no_class_folder_and_strange_folders_are_listed(tmp_path):
    made(tmp_path, {"train/ant": 5, "train/bee": 5, "old": 2, "train": 1, "notes": 0})
    assert {skip.path for skip in opened(tmp_path).skipped} == {"old/", "train/0.png"}
    made(tmp_path / "__MACOSX", {"ant": 1})
    assert "__MACOSX/" not in {skip.path for skip in opened(tmp_path).skipped}


def test_linked_folders_are_read_and_a_loop_is_listed(tmp_path):
    root = made(tmp_path / "d", {"ant": 8, "bee": 8})
    made(tmp_path, {"more": 6})
    (root / "ant" / "more").symlink_to(tmp_path / "more")
    (root / "ant" / "loop").symlink_to(root)
    data = opened(root)
    assert sum(data.splits.values()) == 22
    assert [skip.path for skip in data.skipped] == ["ant/loop/"]
    assert "by a link" in data.skipped[0].reason


def test_two_classes_that_are_one_folder_are_refused(tmp_path):
    made(tmp_path, {"ant": 8, "bee": 8})
    (tmp_path / "cow").symlink_to(tmp_path / "ant")
    assert "class 'cow' is ant/ by a link" in refused(tmp_path)


@pytest.mark.parametrize("how", ["folder", "classes", "files", "hard links", "copies"])
@pytest.mark.parametrize("part", ["val", "test"])
def test_a_part_that_is_train_is_refused(how, part, tmp_path):
    root = made(tmp_path, {"train/ant": 8, "train/bee": 8})
    train, other = root / "train", root / part
    if how == "folder":
        other.symlink_to(train)
    for name in ("ant", "bee") if how != "folder" else ():
        (other / name).parent.mkdir(exist_ok=True)
        if how == "classes":
            (other / name).symlink_to(train / name)
            continue
        (other / name).mkdir()
        for file in (train / name).iterdir():
            twin = other / name / (file.name if how != "copies" else f"copy-{file.name}")
            if how == "copies":
                twin.write_bytes(file.read_bytes())
            else:
                (os.link if how == "hard links" else os.symlink)(file, twin)
    said = refused(root)
    assert f"{part}/" in said
    assert "by a link" in said or f"16 of 16 images of {part}/ are in train/ as well" in said


def test_a_few_shared_images_judge_and_are_not_learned_from(tmp_path):
    root = made(tmp_path, {"train/ant": 20, "train/bee": 20, "val/ant": 10, "val/bee": 10})
    copied = root / "train" / "ant" / "again.png"
    copied.write_bytes((root / "val" / "ant" / "0.png").read_bytes())
    data = opened(root)
    assert data.splits["train"] + data.splits["val"] == 40
    assert [skip.path for skip in data.skipped] == ["train/ant/again.png"]
    assert "val/ant/0.png" in data.skipped[0].reason


def test_a_moved_or_doubly_named_folder_is_one_clear_error(tmp_path):
    root = made(tmp_path / "d", {"ant": 5, "bee": 5})
    gone = str(tmp_path / "gone")
    with pytest.raises(DataError, match=r"there is no .*gone") as error:
        open_data(gone, data_dir=None, image_size=8, seed=0)
    assert "--data" in error.value.hint
    with pytest.raises(DataError, match="is another"):
        opened(root, data_dir=tmp_path)
    assert opened(root, data_dir=root).data_id == opened(root).data_id
