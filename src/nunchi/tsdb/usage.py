"""How many bytes of a file of chunks are whose: a page's by the samples of its columns, a vector's by who shares it.

Pages of histograms and of starts are shared out among all columns that have some, by their samples.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nunchi.kit.disk import Disk
from nunchi.tsdb.page import page_bytes
from nunchi.tsdb.sections import Sections


def bytes_by_series(disk: Disk, path: Path, refs: NDArray[np.int32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Samples and bytes of some series of a file, `refs` sorted: of values and timestamps, not of arrays beside them."""
    sections = Sections(disk, path)
    series, vectors = sections.array("series"), sections.array("vectors")
    counts = sections.array("vector_counts").astype(np.float64)
    column_samples = counts[vectors]
    value_bytes = _shared(sections, "pages", "page_firsts", column_samples)
    vector_bytes = _shared(sections, "vector_pages", "vector_firsts", counts)
    users = np.maximum(np.bincount(vectors, minlength=len(counts)), 1)
    room = value_bytes + (vector_bytes / users)[vectors]
    for part in ("histogram", "start"):
        if f"{part}_pages" in sections.names():
            own = np.unique(sections.array(f"{part}_columns"))
            total = float(_page_sizes(sections, f"{part}_pages").sum())
            room[own] += total * column_samples[own] / max(column_samples[own].sum(), 1.0)
    places = np.searchsorted(refs, series)
    places[places == len(refs)] = 0
    is_own = refs[places] == series if len(refs) else np.zeros(len(series), np.bool_)
    samples, used = (np.bincount(places[is_own], weights[is_own], len(refs)) for weights in (column_samples, room))
    return samples.astype(np.float64), used.astype(np.float64)


def _shared(sections: Sections, pages: str, firsts: str, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each page's bytes, shared out among its columns by their weights."""
    begins = sections.array(firsts)
    sizes = _page_sizes(sections, pages)
    page_of = np.searchsorted(begins, np.arange(len(weights)), side="right") - 1
    totals = np.maximum(np.bincount(page_of, weights, len(sizes)), 1.0)
    share: NDArray[np.float64] = weights / totals[page_of] * sizes[page_of]
    return share


def _page_sizes(sections: Sections, pages: str) -> NDArray[np.float64]:
    return np.array([page_bytes(sections.view, at) for at in sections.array(pages).tolist()], np.float64)
