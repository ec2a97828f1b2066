"""Lines over time, drawn with the dots of Braille letters: two dots wide and four high each. Pure: numbers in, text out."""

import itertools
import math
from collections.abc import Mapping, Sequence

from nunchi.cli.answers import moment_text

SERIES_MAX = 7
DIGITS_MAX = 17  # a float has no more
# The bits of a Braille letter's dots, by row and column.
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
BLANK = 0x2800
COLOURS = (34, 33, 32, 35, 36, 31, 90)  # ANSI: blue, yellow, green, magenta, cyan, red, grey

Points = Sequence[tuple[float, float]]


def draw(series: Mapping[str, Points], start: float, end: float, width: int, height: int, *, is_coloured: bool) -> str:
    """The first `SERIES_MAX` series between two times, a scale on the left, times below, and a legend."""
    shown = list(series.items())[:SERIES_MAX]
    numbers = [value for _, points in shown for _, value in points if math.isfinite(value)]
    if not numbers:
        return "no points to draw"
    low, high = min(numbers), max(numbers)
    if low == high:
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    scale = _scale([high - (high - low) * row / max(1, height - 1) for row in range(height)])
    margin = max(map(len, scale))
    canvas = _Canvas(max(8, width - margin - 1), height)
    for number, (_, points) in enumerate(shown):
        canvas.line(points, (start, end), (low, high), number)
    lines = [f"{scale[row]:>{margin}} {canvas.row(row, is_coloured)}" for row in range(height)]
    first, last = moment_text(start), moment_text(end)
    lines.append(f"{'':{margin}} {first}{last:>{max(1, canvas.width - len(first))}}")
    for number, (name, _) in enumerate(shown):
        lines.append(f"{_coloured('━━', number, is_coloured)} {name}")
    if len(series) > len(shown):
        lines.append(f"{len(series) - len(shown)} more series are not drawn: aggregate, or use topk")
    return "\n".join(lines)


class _Canvas:
    """Letters of dots; a letter has the colour of the line that touched it last."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self._height = height
        self._dots = [[0] * width for _ in range(height)]
        self._colours = [[0] * width for _ in range(height)]

    def line(self, points: Points, span: tuple[float, float], scale: tuple[float, float], colour: int) -> None:
        """Dots for the points, joined where they are neighbours; a gap of more than three usual distances stays one."""
        columns, rows = self.width * 2 - 1, self._height * 4 - 1
        seconds, size = max(span[1] - span[0], 1e-9), scale[1] - scale[0]
        distances = sorted(after - before for (before, _), (after, _) in itertools.pairwise(points))
        usual = distances[len(distances) // 2] if distances else 0.0
        before: tuple[float, int, int] | None = None
        for at, value in points:
            if not math.isfinite(value):
                before = None
                continue
            x = round((at - span[0]) / seconds * columns)
            y = round((scale[1] - value) / size * rows)
            if before is not None and at - before[0] <= 3 * usual:
                self._stroke(before[1], before[2], x, y, colour)
            else:
                self._dot(x, y, colour)
            before = (at, x, y)

    def _stroke(self, x1: int, y1: int, x2: int, y2: int, colour: int) -> None:
        length = max(abs(x2 - x1), abs(y2 - y1), 1)
        for step in range(length + 1):
            self._dot(round(x1 + (x2 - x1) * step / length), round(y1 + (y2 - y1) * step / length), colour)

    def _dot(self, x: int, y: int, colour: int) -> None:
        column, row = x // 2, y // 4
        if 0 <= column < self.width and 0 <= row < self._height:
            self._dots[row][column] |= DOTS[y % 4][x % 2]
            self._colours[row][column] = colour

    def row(self, row: int, is_coloured: bool) -> str:
        """One line of letters."""
        letters = zip(self._dots[row], self._colours[row], strict=True)
        return "".join(_coloured(chr(BLANK + dots), colour, is_coloured and dots > 0) for dots, colour in letters)


def _coloured(text: str, number: int, is_coloured: bool) -> str:
    return f"\x1b[{COLOURS[number % len(COLOURS)]}m{text}\x1b[0m" if is_coloured else text


def _scale(values: Sequence[float]) -> list[str]:
    """Four digits each, more where neighbours would read the same."""
    for digits in range(4, DIGITS_MAX):
        texts = [f"{value:.{digits}g}" for value in values]
        if len(set(texts)) == len(texts):
            return texts
    return [f"{value:.{DIGITS_MAX}g}" for value in values]
