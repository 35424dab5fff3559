"""safetensors files: sound ones are read, and each attack is refused in its own words."""

import json
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save, save_file

from diffview import tensorfile
from diffview.errors import InputError

TENSORS = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "bias": np.arange(3, dtype=np.float16),
    "empty": np.zeros((0, 4), np.float32),
    "count": np.array(7, np.int64),
}


@pytest.fixture
def sound(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(TENSORS, path, {"title": "a model"})
    return path


def made(tmp_path, header, data=b"", length=None):
    """A file from its parts; the header as a value, text or bytes."""
    if not isinstance(header, bytes):
        text = header if isinstance(header, str) else json.dumps(header)
        header = text.encode()
    size = len(header) if length is None else length
    path = tmp_path / "made.safetensors"
    path.write_bytes(struct.pack("<Q", size) + header + data)
    return path


def entry(shape=(2,), offsets=(0, 8), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def refused(path, message):
    for read in (tensorfile.read_header, tensorfile.read_bytes, tensorfile.read_numpy):
        with pytest.raises(InputError, match=message) as info:
            read(path)
        assert str(path) in str(info.value)
        assert "\n" not in str(info.value)


def test_the_header_of_a_sound_file_tells_its_tensors_without_reading_them(sound):
    header = tensorfile.read_header(sound)
    assert dict(header.metadata) == {"title": "a model"}
    assert header.parameters == 6 + 3 + 0 + 1
    assert {k: (v.dtype, v.shape) for k, v in header.tensors.items()} == {
        "weight": ("F32", (2, 3)),
        "bias": ("F16", (3,)),
        "empty": ("F32", (0, 4)),
        "count": ("I64", ()),
    }


def test_a_sound_file_is_read_as_it_was_written(sound):
    arrays = tensorfile.read_numpy(sound)
    assert arrays.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)
    assert tensorfile.read_bytes(sound) == sound.read_bytes()


def test_what_we_write_others_read_and_so_do_we(tmp_path):
    path = tmp_path / "ours.safetensors"
    transposed = {"weight": TENSORS["weight"].T}
    tensorfile.write_numpy(path, transposed, {"title": "γ"})
    np.testing.assert_array_equal(tensorfile.read_numpy(path)["weight"], TENSORS["weight"].T)
    assert tensorfile.read_header(path).metadata["title"] == "γ"
    assert [p.name for p in tmp_path.iterdir()] == ["ours.safetensors"]


@pytest.mark.parametrize("length", [60, 123, 640, 1152])
def test_a_sound_file_whose_header_length_looks_like_another_kind_is_read(tmp_path, length):
    # 60 is '<', 123 is '{', and 640 and 1152 are the first two bytes of Python pickles.
    metadata = '{"__metadata__":{"k":"'
    text = metadata + "v" * (length - len(metadata) - 3) + '"}}'
    path = made(tmp_path, text)
    assert struct.unpack("<Q", path.read_bytes()[:8]) == (length,)
    assert tensorfile.read_header(path).tensors == {}
    assert tensorfile.read_numpy(path) == {}


def test_a_file_cut_in_its_data_is_incomplete_and_says_by_how_much(sound):
    content = sound.read_bytes()
    sound.write_bytes(content[:-5])
    refused(sound, "is incomplete: the last 5 bytes are missing")


def test_a_file_cut_in_its_header_is_incomplete(sound):
    sound.write_bytes(sound.read_bytes()[:40])
    refused(sound, "is incomplete: its header is cut off")


@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_file_of_a_few_bytes_is_incomplete(tmp_path, size):
    path = tmp_path / "short.safetensors"
    path.write_bytes(b"\x01" * size)
    refused(path, f"is incomplete: {size} bytes are too few")


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 200_000_000])
def test_a_header_of_absurd_length_is_refused_without_allocating_it(tmp_path, length):
    path = made(tmp_path, {}, length=length)
    tracemalloc.start()
    refused(path, f"its header would take {length} bytes")
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_an_empty_header_is_refused(tmp_path):
    refused(made(tmp_path, b""), "has a damaged safetensors header")


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        ({"a": entry(offsets=(0, 4))}, bytes(4), "does not take the 4 bytes"),
        ({"a": entry(shape=(3,))}, bytes(8), "does not take the 8 bytes"),
        ({"a": entry(offsets=(8, 0))}, bytes(8), "does not take the -8 bytes"),
        ({"a": entry(shape=(2**62, 2**62))}, bytes(8), "does not take the 8 bytes"),
        ({"a": entry(shape=(2**63, 2))}, bytes(8), "does not take the 8 bytes"),
        (
            {"a": entry(), "b": entry(offsets=(4, 12))},
            bytes(12),
            "tensor 'b' overlaps or leaves a hole",
        ),
        (
            {"a": entry(), "b": entry(offsets=(0, 8))},
            bytes(8),
            "tensor 'b' overlaps or leaves a hole",
        ),
        (
            {"a": entry(), "b": entry(offsets=(12, 20))},
            bytes(20),
            "tensor 'b' overlaps or leaves a hole",
        ),
        ({"a": entry(offsets=(8, 16))}, bytes(16), "tensor 'a' overlaps or leaves a hole"),
        ({"a": entry()}, bytes(11), "3 bytes follow the last tensor"),
        ({}, b"junk", "4 bytes follow the last tensor"),
        ({"a": entry(dtype="F128")}, bytes(8), "unknown number type 'F128'"),
        ({"a": entry(dtype=["F32"])}, bytes(8), "unknown number type"),
        ({"a": entry(shape=(-2,))}, bytes(8), "not a whole number"),
        ({"a": entry(shape=(2.0,))}, bytes(8), "not a whole number"),
        ({"a": entry(shape=(True, 2))}, bytes(8), "not a whole number"),
        ({"a": entry(offsets=(-8, 0))}, bytes(8), "not a whole number"),
        ({"a": entry(offsets=(0, 8, 16))}, bytes(8), "damaged safetensors header"),
        ({"a": {**entry(), "shape": {"2": 1}}}, bytes(8), "damaged safetensors header"),
        ({"a": {**entry(), "shape": ""}}, bytes(8), "damaged safetensors header"),
        ({"a": {"dtype": "F32"}}, bytes(8), "damaged safetensors header"),
        ({"a": 5}, bytes(8), "damaged safetensors header"),
        ([1, 2], b"", "damaged safetensors header"),
        ("5", b"", "damaged safetensors header"),
        ("{", b"", "damaged safetensors header"),
        ("[" * 100_000, b"", "damaged safetensors header"),
        ('{"a": 1' + "0" * 5000 + "}", b"", "damaged safetensors header"),
        ({"__metadata__": {"k": 5}}, b"", "metadata that is not text"),
        ({"__metadata__": ["k"]}, b"", "damaged safetensors header"),
        (b'{"\xff\xfe": 1}', b"", "damaged safetensors header"),
    ],
)
def test_a_header_that_lies_is_refused_in_words_of_its_own(tmp_path, header, data, message):
    refused(made(tmp_path, header, data), message)


def test_a_name_that_occurs_twice_is_refused(tmp_path):
    one = json.dumps(entry())
    refused(made(tmp_path, f'{{"a": {one}, "a": {one}}}', bytes(8)), "a name occurs twice")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n",
            "a git-lfs pointer.*pull",
        ),
        (b"<!DOCTYPE html><html><body>404</body></html>", "a web page.*fetch the file again"),
        (b"<html>\n", "a web page.*fetch the file again"),
        (b'{"error": "Repository not found"}', "a JSON text.*fetch the file again"),
        (b'{"a":{"b":{"c":1}}}', "a JSON text.*fetch the file again"),
        (b"PK\x03\x04" + bytes(60), "a zip archive"),
        (b"\x80\x02}q\x00X\x05\x00\x00\x00modelq\x01.", "a Python pickle, which can run code"),
        (b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00.", "a Python pickle, which can run code"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "a PNG picture"),
    ],
)
def test_a_file_of_another_kind_is_called_by_its_name(tmp_path, content, message):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    refused(path, f"is not a safetensors file but {message}")


def test_a_missing_file_and_a_folder_are_refused_with_the_systems_reason(tmp_path):
    refused(tmp_path / "no.safetensors", "cannot be read: No such file")
    refused(tmp_path, "cannot be read: Is a directory")


def test_a_type_that_numpy_lacks_is_refused_by_the_numpy_reader_alone(tmp_path):
    path = made(tmp_path, {"a": entry(shape=(4,), dtype="F8_E4M3", offsets=(0, 4))}, bytes(4))
    assert tensorfile.read_header(path).parameters == 4
    path = made(tmp_path, {"a": entry(shape=(2,), dtype="BF16", offsets=(0, 4))}, bytes(4))
    assert tensorfile.read_header(path).tensors["a"].dtype == "BF16"


def test_the_digest_is_the_files_sha256(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert tensorfile.sha256(path).startswith("ba7816bf8f01cfea414140de5dae2223b00361a3")


@settings(max_examples=400, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_change_of_the_header_gives_a_header_or_an_input_error(tmp_path_factory, data):
    content = bytearray(save(TENSORS, {"title": "a model"}))
    size = 8 + int.from_bytes(content[:8], "little")
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, size - 1))
        content[position] = data.draw(st.integers(0, 255) | st.sampled_from(b'0123456789"{}[]:,'))
    path = tmp_path_factory.getbasetemp() / "fuzzed.safetensors"
    path.write_bytes(content)
    for read in (tensorfile.read_header, tensorfile.read_numpy):
        try:
            read(path)
        except InputError as error:
            assert "fuzzed.safetensors" in str(error)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(content=st.binary(max_size=200))
def test_any_bytes_at_all_give_a_header_or_an_input_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "random.safetensors"
    path.write_bytes(content)
    try:
        tensorfile.read_numpy(path)
    except InputError as error:
        assert "random.safetensors" in str(error)
