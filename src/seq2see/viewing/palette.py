"""The colours of every view: two ramps from "nothing" to "all", one for light paper and one for dark.

Their steps are even in OKLab lightness (Ottosson 2020), so twice the distance in weight looks like twice the
distance in shade, and the order survives printing in grey and every kind of colour blindness.
"""

LIGHT = ("#f8fbfc", "#bae3fe", "#82c8fe", "#4ba9fe", "#3489ea", "#336ac6", "#324f9c", "#2b386f", "#202340")
DARK = ("#171920", "#093059", "#044f6a", "#046e7b", "#048f86", "#27b184", "#8ac688", "#cadaa7", "#f2f1e6")
DARK_256 = (233, 236, 23, 30, 36, 72, 114, 187, 230)  # the dark ramp in the numbers of 256-colour terminals
SERIES = ("#2f6fd0", "#c2410c", "#15803d", "#9333ea", "#a16207", "#0e7490")  # lines and bars, on light paper

Colour = tuple[int, int, int]


def red_green_blue(hexadecimal: str) -> Colour:
    """``"#rrggbb"`` as three numbers from 0 to 255."""
    return int(hexadecimal[1:3], 16), int(hexadecimal[3:5], 16), int(hexadecimal[5:7], 16)


def shade(ramp: tuple[str, ...], share: float) -> Colour:
    """The colour at ``share`` (0 to 1; clipped) of a ramp, between two stops by a straight line."""
    place = min(1.0, max(0.0, share)) * (len(ramp) - 1)
    lower = min(int(place), len(ramp) - 2)
    first, second = red_green_blue(ramp[lower]), red_green_blue(ramp[lower + 1])
    red, green, blue = (round(a + (b - a) * (place - lower)) for a, b in zip(first, second, strict=True))
    return red, green, blue


def luminance(colour: Colour) -> float:
    """Relative luminance, 0 (black) to 1 (white) (WCAG 2.2, "relative luminance")."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: Colour, second: Colour) -> float:
    """How well one colour reads on another, 1 to 21; text wants 4.5 (WCAG 2.2, 1.4.3)."""
    darker, lighter = sorted((luminance(first), luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)
