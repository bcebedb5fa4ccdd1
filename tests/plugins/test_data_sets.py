"""A data set is read from a NumPy file, and its images take the shape of a model's input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finnmake.errors import BlueprintError
from finnmake.plugins.builtin.dataset import fitted, read

NAMES = ("images", "labels")

sides = st.integers(1, 4)


def written(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "data.npz", **arrays)
    return folder


def whole(folder: Path, **changed: Any) -> Path:
    return written(folder, **{"images": np.zeros((4, 2, 2)), "labels": np.array([0, 1, 2, 1]), **changed})


def test_images_and_labels_by_their_names(tmp_path: Path) -> None:
    whole(tmp_path, x=np.ones((4, 3)), y=np.array([[3], [2], [1], [0]], dtype=np.uint8))
    found = read(tmp_path, "data.npz", "x", "y", None)
    assert found.images.shape == (4, 3)
    assert found.labels.tolist() == [3, 2, 1, 0]
    assert read(tmp_path, "data.npz", "x", "y", 3).labels.tolist() == [3, 2, 1]
    assert len(read(tmp_path, "data.npz", "x", "y", 99).images) == 4


@pytest.mark.parametrize(
    ("changed", "parameters", "told"),
    [
        ({}, {"data": "none.npz"}, "data: there is no file none.npz"),
        ({}, {"data": 3}, "data: 3 is no file name"),
        ({}, {"images": "pictures"}, "images: data.npz has no array 'pictures'"),
        ({}, {"limit": 0}, "limit: 0 is no possible value"),
        ({}, {"limit": "all"}, "limit: 'all' is no possible value"),
        ({"labels": np.arange(3)}, {}, "labels: data.npz has 4 images and 3 labels"),
        ({"labels": np.zeros((4, 10))}, {}, "labels: 'labels' in data.npz has the shape 4x10"),
        ({"labels": np.zeros(())}, {}, "labels: 'labels' in data.npz has the shape 1"),
        ({"labels": np.array([0, 1, -1, 2])}, {}, "labels: 'labels' in data.npz has -1, which is no class"),
        ({"labels": np.array([0, 1, 0.5, 2])}, {}, "labels: 'labels' in data.npz has 0.5, which is no class"),
        ({"labels": np.array([0, np.nan, 1, 2])}, {}, "labels: 'labels' in data.npz has nan, which is no"),
        ({"labels": np.array([0, np.inf, 1, 2])}, {}, "labels: 'labels' in data.npz has inf, which is no"),
        ({"labels": np.zeros(4, complex)}, {}, "labels: 'labels' in data.npz holds no numbers"),
        ({"images": np.float32(1)}, {}, "labels: data.npz has 1 images and 4 labels"),
        ({"images": np.full((4, 2), np.nan)}, {}, "images: 'images' in data.npz holds no finite numbers"),
        ({"images": np.full((4, 2), np.inf)}, {}, "images: 'images' in data.npz holds no finite numbers"),
        ({}, {"images": ["images"]}, "images: ['images'] is no name of an array"),
        ({}, {"original": "raw"}, "original_images: data.npz has no array 'raw'"),
        (
            {"raw": np.zeros((3, 2))},
            {"original": "raw"},
            "labels: data.npz has 3 original_images and 4 labels",
        ),
        ({"labels": np.array(["a", "b", "c", "d"])}, {}, "labels: 'labels' in data.npz holds no numbers"),
        ({"images": np.zeros((0, 4))}, {}, "images: 'images' in data.npz holds no numbers"),
    ],
)
def test_what_cannot_be_used_is_told(
    tmp_path: Path, changed: dict[str, Any], parameters: dict[str, Any], told: str
) -> None:
    whole(tmp_path, **changed)
    given = {"data": "data.npz", "images": "images", "labels": "labels", "limit": None, **parameters}
    with pytest.raises(BlueprintError) as caught:
        read(tmp_path, **given)
    assert caught.value.located().startswith(told)
    assert caught.value.cure


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 cut short", b"version https://git-lfs.github.com/spec/v1"]
)
def test_a_file_that_is_none_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(BlueprintError, match=r"data\.npz is no NumPy file of named arrays"):
        read(tmp_path, "data.npz", "images", "labels", None)


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    """One bit of the compressed images is another."""
    np.savez_compressed(tmp_path / "data.npz", images=np.arange(4000.0).reshape(4, -1), labels=np.arange(4))
    content = bytearray((tmp_path / "data.npz").read_bytes())
    content[len(content) // 3] ^= 0xFF
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(BlueprintError, match=r"data\.npz is no NumPy file of named arrays"):
        read(tmp_path, "data.npz", "images", "labels", None)


@pytest.mark.parametrize("labels", [[3], [[3]], [3.0], [True]])
def test_one_image_is_a_data_set(tmp_path: Path, labels: list[Any]) -> None:
    found = read(
        written(tmp_path, images=np.zeros((1, 8)), labels=np.array(labels)), "data.npz", *NAMES, None
    )
    assert found.labels.tolist() == [int(np.ravel(labels)[0])] and found.images.shape == (1, 8)


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    whole(tmp_path, images=np.array([{"a": 1}] * 4, dtype=object))
    with pytest.raises(BlueprintError, match=r"data\.npz is no NumPy file of named arrays"):
        read(tmp_path, "data.npz", "images", "labels", None)


def test_an_array_without_a_name_is_told(tmp_path: Path) -> None:
    with (tmp_path / "data.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(BlueprintError, match="it holds one array without a name"):
        read(tmp_path, "data.npz", "images", "labels", None)


@given(images=st.integers(1, 5), shape=st.lists(sides, min_size=1, max_size=3))
def test_values_keep_their_order_where_only_the_shape_differs(images: int, shape: list[int]) -> None:
    values = np.arange(images * np.prod(shape)).reshape(images, *shape)
    flat = fitted(values, (1, int(np.prod(shape))))
    assert np.array_equal(flat.reshape(values.shape), values)


@given(height=sides, width=sides, channels=sides)
def test_channels_move_to_where_the_model_has_them(height: int, width: int, channels: int) -> None:
    last = np.arange(2 * height * width * channels).reshape(2, height, width, channels)
    first = last.transpose(0, 3, 1, 2)
    if len({height, width, channels}) == 3:  # else the shape does not tell which is which
        assert np.array_equal(fitted(last, (1, channels, height, width))[:, 0], first)
        assert np.array_equal(fitted(first, (1, height, width, channels))[:, 0], last)
    assert np.array_equal(fitted(last, (1, height, width, channels))[:, 0], last)


@given(images=st.integers(1, 9), together=st.integers(2, 4))
def test_a_model_for_several_images_gets_them_together(images: int, together: int) -> None:
    values = np.arange(images * 3).reshape(images, 3)
    found = fitted(values, (together, 3))
    assert found.shape == (-(-images // together), together, 3)
    assert np.array_equal(found.reshape(-1, 3)[:images], values)
    assert np.array_equal(found.reshape(-1, 3)[images:], np.repeat(values[-1:], -images % together, axis=0))


def test_shapes_that_have_nothing_to_do_with_each_other_are_told() -> None:
    with pytest.raises(ValueError, match="an image has the shape 8x8, the model's input 1x3x32x32"):
        fitted(np.zeros((2, 8, 8)), (1, 3, 32, 32))
