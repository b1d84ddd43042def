import pytest

from sparx_nas.ground.quantities import duration, percent, si, wilson


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (5247196800, "5.25 G"),
        (27.1e6, "27.1 M"),
        (999_600_000, "1.00 G"),
        (9_996_000, "10.0 M"),
        (99_970_000, "100 M"),
        (999, "999"),
        (1000, "1.00 k"),
        (12.5, "12.5"),
        (0.25, "0.250"),
        (0, "0"),
        (-4500, "-4.50 k"),
    ],
)
def test_si_has_three_digits(value, said):
    assert si(value) == said


def test_si_takes_a_unit():
    assert si(2**31, "B") == "2.15 GB"
    assert si(152, "B") == "152 B"


def test_percent():
    assert percent(0.8351) == "83.5 %"
    assert percent(1, 0) == "100 %"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.24, "0.2 s"),
        (42, "42 s"),
        (59.8, "1 m 00 s"),
        (725, "12 m 05 s"),
        (3599.7, "1 h 00 m"),
        (4512, "1 h 15 m"),
        (200_000, "2 d 8 h"),
    ],
)
def test_duration(seconds, said):
    assert duration(seconds) == said


def test_wilson_matches_published_values():
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


def test_wilson_without_draws_knows_nothing():
    assert wilson(0, 0) == (0.0, 1.0)
