"""A constant in an energy: its Z is exp(-c), and the score does not see it."""

import pytest

from diffview.errors import InputError
from diffview.models.exact.shift import shift
from diffview.models.exact.toys import toys


@pytest.mark.parametrize("constant", [-2.0, 0.0, 3.5])
def test_z_is_e_to_the_minus_c_and_the_score_stays(exact_model, uneven_mixture, constant):
    model = exact_model(uneven_mixture())
    made = shift(model, model.schedule.level(300), None, 0.0, constant)
    assert made.known == -constant
    assert made.log_z == pytest.approx(-constant, abs=2e-3)
    assert made.score_change < 1e-9


def test_a_tilted_density_has_no_z_by_formula(exact_model):
    model = exact_model(toys()["moons"].mixture)
    level = model.schedule.level(200)
    tilted, plain = shift(model, level, 1, 3.0, 1.0), shift(model, level, 1, 1.0, 1.0)
    assert tilted.known is None and plain.known == -1.0
    assert plain.log_z == pytest.approx(-1.0, abs=2e-3)
    # By Hölder's inequality p^(1 - gamma) p(. | y)^gamma integrates to 1 or more for gamma > 1.
    assert tilted.log_z + 1.0 > 0
    assert tilted.score_change < 1e-9


def test_a_network_has_no_z_to_look_at():
    with pytest.raises(InputError, match="exact model"):
        shift(object(), None, None, 0.0, 0.0)
