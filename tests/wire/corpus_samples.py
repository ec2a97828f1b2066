"""Well-formed samples of every format that comes in datagrams, and some that are nearly so."""

from array import array
from collections.abc import Callable, Mapping

from nunchi.model.histogram import BucketSpan, Histogram
from nunchi.model.labels import Labels
from nunchi.model.metadata import Metadata, MetricType
from nunchi.model.series_group import Layout
from nunchi.wire import pack
from nunchi.wire.pack import Answer, Confirm, FirstHead, PackHead, PackKind, Stats, Welcome
from nunchi.wire.pack_histograms import HistogramParts
from nunchi.wire.pack_seal import PackMode, hello_sealer, session_keys
from nunchi.wire.scouter_pack import ScouterPack, ScouterType, encode_datagrams
from nunchi.wire.scouter_values import Float32, Summary, TextHash

AGENT, KEY, SALT, COOKIE = "a" * 32, b"k" * 32, bytes(range(16)), bytes(range(16, 32))
LONG = "9" * 400

LINES = {
    "counter": b"page.views:1|c", "rate": b"page.views:3|c|@0.1", "gauge": b"fuel:0.5|g\nfuel:-2|g\nfuel:+1|g",
    "timer": b"glork:320|ms|@0.1", "set": b"users:a:b|s", "several": b"a:1|c:2|g:3|ms", "values": b"a:1:2::3|h|#x:y",
    "dogstatsd": b"n:1|d|@0.5|#env:prod,canary|c:ci-1|T1656581400|e:it-false,cn-x|card:low", "influx": b"n,env=prod:1|c",
    "librato": b"n#env=prod:1|c", "signalfx": b"n[env=prod]:1|c", "event": b"_e{5,4}:title|text|d:17|h:x|p:low|t:error|#a:b",
    "service_check": b"_sc|db|2|d:17|h:web|#a:b|m:no\\nanswer", "event_lengths": b"_e{99,4}:title|text",
    "event_empty": b"_e{0,0}:|",
    "exponent": b"a:1e308|c\na:1e309|c\na:-1e-400|c", "long_number": f"a:{LONG}|c|@0.{LONG}".encode(), "nothing": b"",
    "empty_lines": b"\n\n:|\n|:\n", "nul": b"a\x00b:1|c", "not_utf8": b"\xff\xfe:1|c|#\xff:\xfe", "no_value": b"a:|c",
    "no_type": b"a:1|", "unknown_type": b"a:1|x", "rate_zero": b"a:1|c|@0", "half": b"a:1|c\nb:2",
}  # fmt: skip


def statsd() -> dict[str, bytes]:
    """Lines of all dialects."""
    return LINES


def packs() -> dict[str, bytes]:
    """Whole datagrams: heads, bodies and seals."""
    keys = session_keys(KEY, SALT, COOKIE, PackMode.HMAC)

    def sealed(kind: PackKind, body: bytes, sequence: int) -> bytes:
        head = PackHead(PackMode.HMAC, kind, keys.id, sequence).encode()
        return head + keys.to_server.seal(pack.nonce_of(sequence), body, head)

    first = FirstHead(PackMode.HMAC, PackKind.HELLO, SALT, AGENT).encode()
    hello = hello_sealer(KEY, SALT, PackMode.HMAC).seal(pack.NO_NONCE, pack.HELLO_BODY.pack(1) + bytes(100), first)
    confirm = FirstHead(PackMode.HMAC, PackKind.CONFIRM, SALT, AGENT).encode()
    body = pack.encode_confirm(Confirm(1, 2, 10_000, "web-1", "0.1"))
    found = {"hello": first + hello, "confirm": confirm + keys.to_server.seal(pack.NO_NONCE, body, confirm)}
    found |= {
        name: sealed(kind, body, number) for number, (name, (kind, body)) in enumerate(bodies_by_kind().items(), 1)
    }
    return found


def bodies_by_kind() -> dict[str, tuple[PackKind, bytes]]:
    """What is sealed in packs of a session."""
    columns, values = array("i", [0, 1, 2, 5]), array("d", [1.0, 2.5, float("nan"), 1e300])
    base = array("d", [1.0, 2.0, 3.0])
    keys = [Labels.of("m", n=str(number)).key() for number in range(3)]
    [data] = pack.encode_data(1, 2, 1, 1_700_000_000_000, 7, columns, values, base, 1000)
    [replacing] = pack.encode_data(1, 3, 0, 1, 7, columns, values, array("d"), 1000, replaces=True)
    [dictionary] = pack.encode_dictionary(1, 0, keys, 1000)
    [metadata] = pack.encode_metadata(1, {"m": Metadata(MetricType.COUNTER, "help", "unit")}, 1000)
    parts, layout = HistogramParts(), Layout.of(Labels.of("h"))
    spans = (BucketSpan(-3, 2), BucketSpan(4, 1))
    histogram = Histogram(3, 7.0, 0.25, 2.0**-128, 1.0, spans, (1.0, 2.0, 2.0), (BucketSpan(1, 1),), (1.0,))
    part_columns, part_values = parts.cells(layout, array("i", [0]), [histogram])
    [announced] = pack.encode_dictionary(2, 0, parts.keys, 1000)
    [histograms] = pack.encode_data(2, 4, 0, 1_700_000_000_000, 9, part_columns, part_values, array("d"), 1000)
    answer = pack.encode_answer(Answer(1, 0, 2, 3, 1, 3, 4, 5, {"out_of_order": 1}), 200)
    return {
        "data": (PackKind.DATA, data), "replacing": (PackKind.DATA, replacing), "dictionary": (PackKind.DICTIONARY, dictionary),
        "metadata": (PackKind.DICTIONARY, metadata), "answer": (PackKind.ANSWER, answer),
        "stats": (PackKind.STATS, pack.encode_stats(Stats(2, 5, 300, 2, 0, 10_000, 1_700_000_000_000))),
        "welcome": (PackKind.WELCOME, pack.encode_welcome(Welcome(COOKIE, 1, 2, 3))),
        "histograms": (PackKind.HISTOGRAMS, histograms), "parts": (PackKind.PARTS, announced),
    }  # fmt: skip


def pack_bodies() -> dict[str, bytes]:
    """The bodies alone, as they are once their seals held; the kind goes before each."""
    return {name: bytes([kind]) + body for name, (kind, body) in bodies_by_kind().items()}


def scouter() -> dict[str, bytes]:
    """One, several and parts, with every value there is."""
    data = {
        "null": None, "yes": True, "decimal": -129, "float": Float32(1.5), "double": 0.1, "text": "ü", "blob": b"\x00\xff",
        "hash": TextHash(7), "list": [1, "a"], "map": {"x": 1}, "summary": Summary(1.0, 2, 0.5, 0.5),
    }  # fmt: skip
    counter = ScouterPack(ScouterType.PERF_COUNTER, {"time": 1, "objName": "/web-1", "timetype": 1, "data": data})
    text = ScouterPack(ScouterType.TEXT, {"xtype": "x", "hash": -1, "text": "long " * 200})
    [one] = encode_datagrams([counter])
    [several] = encode_datagrams([counter, counter])
    parts = list(encode_datagrams([text], 512))
    return {
        "one": one, "several": several, "java": b"JAVA" + one[4:], "count_negative": b"CAFN\xff\xff" + one[4:],
        "unknown_type": b"CAFE\xfe", "nothing": b"CAFE", "no_magic": b"CAFF" + one[4:],
        **{f"part_{number}": part for number, part in enumerate(parts)},
    }  # fmt: skip


SAMPLES: Mapping[str, Callable[[], dict[str, bytes]]] = {
    "statsd": statsd,
    "pack": packs,
    "pack_body": pack_bodies,
    "scouter": scouter,
}
