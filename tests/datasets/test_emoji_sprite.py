"""The bundled emoji: as many as told, on white, and what their names say."""

import numpy as np

from diffview.datasets import picture_sets
from diffview.datasets.emoji_sprite import COUNT, GROUPS, emoji_sprite


def test_every_picture_has_its_name_group_and_words():
    data = emoji_sprite()
    assert len(data) == COUNT == len(set(data.names)) == len(data.keywords)
    assert data.pictures.shape == (COUNT, 3, 64, 64) and data.pictures.dtype == np.uint8
    assert set(data.groups) == set(range(len(GROUPS)))
    assert 0.03 < data.held_out.mean() < 0.1


def test_pictures_are_what_they_are_called():
    data = emoji_sprite()
    mean = {
        name: data.pictures[data.names.index(name)].reshape(3, -1).mean(axis=1)
        for name in ("red heart", "green heart", "blue heart")
    }
    for k, name in enumerate(mean):
        assert mean[name].argmax() == k
    corners = data.pictures[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.median(corners) >= 253


def test_the_set_is_known_by_its_name():
    known = picture_sets()["emoji"]
    loaded = known.load(None)
    assert loaded.pictures.shape == (known.count, *known.shape)
    assert loaded.labels.max() < len(known.classes)
