"""Points from a file: what is read of it, and what is told of one that holds none."""

import numpy as np
import pytest

from diffview.errors import InputError
from diffview.models.exact import points_file
from diffview.models.exact.points_file import MOST_POINTS, read

SQUARE = [(0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (0.5, -0.5)]


@pytest.fixture
def text(tmp_path):
    def write(words, name="points.csv"):
        path = tmp_path / name
        path.write_text(words, "utf-8")
        return path

    return write


@pytest.fixture
def array(tmp_path):
    def save(values):
        path = tmp_path / "points.npy"
        np.save(path, values, allow_pickle=True)
        return path

    return save


@pytest.mark.parametrize(
    "words",
    [
        "0.5,0.5\n-0.5,0.5\n-0.5,-0.5\n0.5,-0.5\n",
        "x,y\n0.5,0.5\n\n-0.5,0.5\n-0.5,-0.5\n0.5,-0.5",
        "\ufeff# by hand\nx; y\n 0.5; 0.5\n-0.5;0.5 # left\n-0.5;-0.5\n0.5;-0.5\n",
        "0.5\t0.5\n-0.5\t0.5\n-0.5\t-0.5\n0.5\t-0.5\n",
        "0.5  0.5\r\n-0.5 0.5\r\n-0.5 -0.5\r\n5e-1 -.5\r\n",
    ],
)
def test_a_text_is_read_with_any_mark_between_and_with_or_without_a_header(text, words):
    found = read(text(words))
    np.testing.assert_array_equal(found.places, SQUARE)
    assert found.labels is None and found.mixture().classes == ()


def test_a_third_column_is_a_class(text, array):
    found = read(text("x,y,kind\n0.5,0,cat\n0,0.5,dog\n-0.5,0,cat\n"))
    assert found.classes == ("cat", "dog")
    np.testing.assert_array_equal(found.labels, [0, 1, 0])
    np.testing.assert_allclose(found.mixture().label_weights, [2 / 3, 1 / 3])
    found = read(array(np.array([[0.5, 0, 7], [0, 0.5, 3]])))
    assert found.classes == ("3", "7") and found.labels.tolist() == [1, 0]
    assert read(text("0.5,0,cat\n0,0.5,cat\n")).classes == (), "one class is none to tell apart"


def test_points_of_any_unit_are_moved_and_scaled_alike_in_x_and_y(array):
    circle = np.stack([np.cos(np.arange(6)), np.sin(np.arange(6))], axis=1)
    found = read(array((1e6 + 300 * circle).astype(np.float32)))
    assert np.abs(found.places).max() == pytest.approx(1)
    apart = np.linalg.norm(found.places[:, None] - found.places, axis=2)
    expected = np.linalg.norm(circle[:, None] - circle, axis=2)
    ratio = apart[0, 1] / expected[0, 1]
    np.testing.assert_allclose(apart, ratio * expected, rtol=1e-3)
    assert "is the middle now" in "; ".join(found.done)


def test_each_point_is_about_as_wide_as_its_neighbour_is_far(array):
    row = np.stack([np.linspace(-0.9, 0.9, 91), np.zeros(91)], axis=1)  # 0.02 apart
    assert read(array(row)).std == pytest.approx(0.02)
    assert read(array(np.array([[3.0, 4.0]]))).places.tolist() == [[0.0, 0.0]]


def test_many_points_are_thinned_out_and_it_is_said(array):
    many = np.random.default_rng(1).uniform(-1, 1, (MOST_POINTS + 1, 2))
    found = read(array(many))
    assert len(found.places) == MOST_POINTS
    kept = {tuple(place) for place in found.places}
    assert len(kept) == MOST_POINTS and kept < {tuple(place) for place in many}
    assert "2,000 of 2,001 points" in found.done[0]


def test_no_class_is_thinned_out_altogether(array):
    many = np.random.default_rng(1).uniform(-1, 1, (50_000, 3))
    many[:, 2] = np.arange(50_000) % 2
    many[77, 2], many[78, 2] = 5, 9  # one of each
    found = read(array(many))
    assert found.classes == ("0", "1", "5", "9")
    counts = np.bincount(found.labels)
    assert counts[2:].tolist() == [1, 1]
    assert counts[0] == pytest.approx(counts[1], abs=1)
    assert MOST_POINTS - 4 < counts.sum() <= MOST_POINTS
    assert f"{counts.sum():,} of 50,000 points, drawn at random in each class" in found.done[0]
    rare = found.places[found.labels == 2]
    np.testing.assert_array_equal(rare, many[77:78, :2])


@pytest.mark.parametrize("kind", ["<f8", ">f4", "<i2", "<f2", np.longdouble])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_is_read_in_whatever_order_its_numbers_are_saved(array, kind, order):
    values = np.asarray([(1, 0), (0, 1), (-1, 0)], dtype=kind, order=order)
    np.testing.assert_array_equal(read(array(values)).places, values.astype(float))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (10**30, 2)}", "no array of NumPy"),
        (f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({10**30}, 2)}}", "0+ points: give"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 2)}", "holds -1 points"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2)}", "is cut off: 48 bytes"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': ((", "no array of NumPy"),
        ("(" * 5_000, "no array of NumPy"),
        ("{'descr': {}, 'fortran_order': False, 'shape': (3, 2)}", "of shape .3, 2.: give"),
        ("{'descr': 'f-8', 'fortran_order': False, 'shape': (3, 2)}", "no array of NumPy"),
        ("{'descr': '<V8', 'fortran_order': False, 'shape': (3, 2)}", "holds .*V8 of shape"),
    ],
)
def test_a_header_that_no_array_has_is_told_of(tmp_path, words, told):
    path = tmp_path / "points.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(words).to_bytes(2, "little") + words.encode())
    with pytest.raises(InputError, match=told):
        read(path)


def test_an_array_cut_off_is_told_of_and_no_file_is_mapped(array, monkeypatch):
    path = array(np.zeros((1000, 2)))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="16,000 bytes of numbers belong to it, 15,999 are there"):
        read(path)
    monkeypatch.setattr(np, "memmap", None)
    assert len(read(array(np.array(SQUARE))).places) == 4


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "holds no points: a line is 'x, y' or"),
        ("x,y\n", "holds no points"),
        ("0,1\n1,zwei\n", r"points.csv:2: 'zwei' is no number; a line is"),
        ("0,1\n1\n", r"points.csv:2: 1 values; a line is"),
        ("a,b,c,d\n0,1,2,3\n", r"points.csv:2: 4 values"),
        ("0,1\n\n1,nan\n", r"points.csv:3: NaN or infinite: leave this line out"),
        ("0,1,cat\n1,2\n", r"points.csv:2: some lines have a class and some have none"),
        ("1_000,2\n", r"points.csv:1: '1_000' is no number"),
        ("1_000,2_000\n0,1\n", r"points.csv:1: '1_000' is no number"),
        ("x,y\n0,1\nx,y\n", r"points.csv:3: 'x' is no number"),
        ("\n".join(f"0,{k},c{k}" for k in range(65)), "65 classes: the third column"),
    ],
)
def test_a_text_that_holds_no_points_is_told_with_its_line(text, words, told):
    with pytest.raises(InputError, match=told):
        read(text(words))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.zeros(7), r"float64 of shape \(7,\): give \(n, 2\)"),
        (np.zeros((4, 5)), r"shape \(4, 5\)"),
        (np.zeros((0, 2)), "holds 0 points"),
        (np.zeros((3, 2), complex), "holds complex128"),
        (np.array([[0, 1], [np.nan, 0]]), "row 1 holds NaN"),
        (np.array([[0, 1, 0.5]]), "last column holds no whole numbers"),
        (np.array([[0, 1, 1e300]]), "last column holds no whole numbers"),
        (np.array([[None, 1]]), r"holds object of shape \(1, 2\)"),
    ],
)
def test_an_array_of_another_shape_or_kind_is_told_of(array, values, told):
    with pytest.raises(InputError, match=told):
        read(array(values))


def test_what_is_no_text_and_no_array_is_told_of(tmp_path, text, monkeypatch):
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00\x01")
    (tmp_path / "a.npy").write_bytes(b"none")
    for name, told in (("a.csv", "is not a text in UTF-8"), ("a.npy", "is no array of NumPy")):
        with pytest.raises(InputError, match=told):
            read(tmp_path / name)
    np.savez(tmp_path / "two.npz", np.zeros((2, 2)), np.zeros((2, 2)))
    (tmp_path / "two.npz").rename(tmp_path / "two.npy")
    with pytest.raises(InputError, match="holds several arrays"):
        read(tmp_path / "two.npy")
    monkeypatch.setattr(points_file, "MAX_TEXT", 10)
    with pytest.raises(InputError, match="is larger than"):
        read(text("0,1\n" * 10))
    with pytest.raises(InputError, match="cannot read"):
        read(tmp_path / "gone.csv")
