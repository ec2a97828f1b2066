"""Answers of a server as text: tables for people, JSON and CSV for programs. Prints nothing itself."""

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

VALUES_MAX = 20  # of one series in a table of samples
GAP = "  "

Data = dict[str, Any]


def as_json(data: Any) -> str:
    """The data as the server sent it, indented."""
    return json.dumps(data, indent=1, ensure_ascii=False)


def as_table(data: Data) -> str:
    """A result for people: a line a series; of a matrix its latest value and what it went through."""
    result = data["result"]
    match data["resultType"]:
        case "scalar" | "string":
            return str(result[1])
        case "vector":
            rows = [(series_text(series["metric"]), value_text(series)) for series in result]
            return align([("series", "value"), *rows], numbers=(1,)) if rows else "no series"
        case _:
            rows_of_ranges = [(series_text(series["metric"]), *_summary(series.get("values", ()))) for series in result]
            heads = ("series", "points", "least", "mean", "most", "latest", "at")
            return align([heads, *rows_of_ranges], numbers=range(1, 7)) if rows_of_ranges else "no series"


def as_samples(data: Data) -> str:
    """A matrix with the latest values of each series under its name."""
    lines = []
    for series in data["result"]:
        values = series.get("values", [])
        lines.append(series_text(series["metric"]))
        lines.extend(f"{GAP}{moment_text(at)}{GAP}{value}" for at, value in values[-VALUES_MAX:])
        if len(values) > VALUES_MAX:
            lines.append(f"{GAP}the last {VALUES_MAX} of {len(values)}; --format csv prints all")
    return "\n".join(lines) or "no series"


def as_csv(data: Data) -> str:
    """A line a point: timestamp, value, then a column for each label name."""
    result = data["result"]
    if data["resultType"] in ("scalar", "string"):
        result = [{"metric": {}, "value": result}]
    names = sorted({name for series in result for name in series["metric"]})
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    heads = [f"label_{name}" if name in ("timestamp", "value") else name for name in names]
    writer.writerow(("timestamp", "value", *heads))
    for series in result:
        labels = [series["metric"].get(name, "") for name in names]
        for at, value in series.get("values") or [series.get("value", (0, ""))]:
            writer.writerow((at, value, *labels))
    return written.getvalue().rstrip("\n")


def series_text(labels: dict[str, str]) -> str:
    """A series as PromQL writes it."""
    inner = ", ".join(
        f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items() if name != "__name__"
    )
    return f"{labels.get('__name__', '')}{{{inner}}}" if inner or "__name__" not in labels else labels["__name__"]


def value_text(series: Data) -> str:
    """The value of a vector's series; a native histogram by its count and sum."""
    if "value" in series:
        return str(series["value"][1])
    histogram = series["histogram"][1]
    return f"histogram of {histogram['count']}, sum {histogram['sum']}"


def moment_text(seconds: float) -> str:
    """A time in UTC."""
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    milliseconds = round(seconds * 1000) % 1000
    return f"{text}.{milliseconds:03}" if milliseconds else text


def align(rows: Sequence[Sequence[str]], numbers: Iterable[int] = ()) -> str:
    """Rows as columns of equal width; those of `numbers` stand to the right."""
    right = set(numbers)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = (
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append(GAP.join(cells).rstrip())
    return "\n".join(lines)


def _summary(values: Sequence[tuple[float, str]]) -> tuple[str, ...]:
    """Count, least, mean, most, latest and its time."""
    if not values:
        return ("0", "", "", "", "", "")
    numbers = [float(text) for _, text in values]
    known = [number for number in numbers if not math.isnan(number)] or [math.nan]
    mean = math.fsum(known) / len(known) if all(map(math.isfinite, known)) else math.nan
    at, latest = values[-1]
    shown = (f"{number:.6g}" for number in (min(known), mean, max(known)))
    return (str(len(values)), *shown, latest, moment_text(at))
