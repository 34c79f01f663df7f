import itertools
import math

import pytest

from seq2see.viewing.palette import DARK, DARK_256, LIGHT, SERIES, contrast, luminance, red_green_blue, shade


def oklab_lightness(colour: tuple[int, int, int]) -> float:
    """Ottosson 2020, written out."""
    red, green, blue = (part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour)
    long = 0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue
    medium = 0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue
    short = 0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue
    return 0.2104542553 * math.cbrt(long) + 0.7936177850 * math.cbrt(medium) - 0.0040720468 * math.cbrt(short)


@pytest.mark.parametrize(("ramp", "rises"), [(LIGHT, False), (DARK, True)])
def test_equal_steps_of_weight_are_equal_steps_of_lightness(ramp: tuple[str, ...], rises: bool) -> None:
    lightness = [oklab_lightness(red_green_blue(stop)) for stop in ramp]
    steps = [after - before for before, after in itertools.pairwise(lightness)]
    assert all((step > 0) == rises for step in steps)
    mean = sum(steps) / len(steps)
    assert all(abs(step - mean) < 0.06 * abs(mean) for step in steps)


def test_the_colours_for_256_colour_terminals_keep_the_order() -> None:
    steps = (0, 95, 135, 175, 215, 255)

    def known(number: int) -> tuple[int, int, int]:
        if number >= 232:
            return (8 + 10 * (number - 232),) * 3
        cube = number - 16
        return steps[cube // 36], steps[cube // 6 % 6], steps[cube % 6]

    brightness = [luminance(known(number)) for number in DARK_256]
    assert brightness == sorted(brightness)
    assert len(set(brightness)) == len(DARK_256) == len(DARK)


def test_shade_meets_the_stops_and_clips() -> None:
    for at, stop in enumerate(LIGHT):
        assert shade(LIGHT, at / (len(LIGHT) - 1)) == red_green_blue(stop)
    assert shade(DARK, -1.0) == red_green_blue(DARK[0])
    assert shade(DARK, 7.0) == red_green_blue(DARK[-1])
    half = shade(("#000000", "#0a1464"), 0.5)
    assert half == (5, 10, 50)


def test_contrast_by_known_pairs() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)  # the grey everyone cites
    assert contrast((7, 77, 177), (7, 77, 177)) == 1


def test_curves_stand_out_on_paper() -> None:
    for colour in SERIES:
        assert contrast(red_green_blue(colour), (255, 255, 255)) >= 4.5
