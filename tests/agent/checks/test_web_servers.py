"""nginx, Apache, HAProxy, PHP-FPM and memcached as they really are, beside the exporter of each where Debian has one."""

import os
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.checks.services import (
    Measured,
    Samples,
    Types,
    assert_alike,
    exposition,
    listens,
    measure,
    saying_peer,
    silent_peer,
    started,
)
from tests.peers import find_peer, free_port

from nunchi.agent.check import Check
from nunchi.agent.checks.apache import ApacheCheck, ApacheSettings
from nunchi.agent.checks.haproxy import HaproxyCheck, HaproxySettings
from nunchi.agent.checks.memcached import MemcachedCheck, MemcachedSettings
from nunchi.agent.checks.nginx import NginxCheck, NginxSettings
from nunchi.agent.checks.php_fpm import PhpFpmCheck, PhpFpmSettings
from nunchi.agent.checks.prometheus import PrometheusCheck, PrometheusSettings
from nunchi.kit.settings import FieldError


def exporter(
    tmp_path: Path, program: str, *flags: str, address_flag: str = "--web.listen-address"
) -> tuple[Samples, Types]:
    port = free_port()
    command = [find_peer(program), *flags, f"{address_flag}=127.0.0.1:{port}"]
    with started(command, listens(port), tmp_path / f"{program}.log"):
        return exposition(f"http://127.0.0.1:{port}/metrics")


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/log; events {{}}\n"
        f"http {{ access_log off; server {{ listen 127.0.0.1:{port};\n"
        "location /stub_status { stub_status; } location /private { return 403; } } }\n"
    )
    command = [find_peer("nginx"), "-c", str(folder / "nginx.conf"), "-p", str(folder)]
    with started(command, listens(port), folder / "out"):
        yield f"http://127.0.0.1:{port}"


@pytest.mark.peer
def test_nginx_is_shown_as_its_exporter_shows_it(nginx: str, tmp_path: Path) -> None:
    theirs = exporter(
        tmp_path,
        "prometheus-nginx-exporter",
        f"-nginx.scrape-uri={nginx}/stub_status",
        address_flag="-web.listen-address",
    )
    ours = measure(NginxCheck(NginxSettings(url=f"{nginx}/stub_status")))
    assert ours.error is None
    assert_alike(ours, theirs, ("nginx_",), {})
    assert ours.names() == {name for name, _ in theirs[0] if name.startswith("nginx_")}
    assert ours.value("nginx_http_requests_total") > theirs[0]["nginx_http_requests_total", ()]


@pytest.mark.peer
def test_nginx_page_that_is_another_or_forbidden_is_down_with_the_reason(nginx: str) -> None:
    forbidden = measure(NginxCheck(NginxSettings(url=f"{nginx}/private")))
    assert (forbidden.value("nginx_up"), "answers 403 Forbidden" in str(forbidden.error)) == (0, True)
    over_tls = measure(NginxCheck(NginxSettings(url=nginx.replace("http:", "https:"))))
    assert (over_tls.value("nginx_up"), "TLS: " in str(over_tls.error)) == (0, True)


@pytest.fixture(scope="module")
def apache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("apache"), free_port()
    (folder / "conf").write_text(
        f"ServerRoot /usr/lib/apache2\nServerName localhost\nPidFile {folder}/pid\nErrorLog {folder}/log\n"
        f"Listen 127.0.0.1:{port}\nLoadModule mpm_event_module modules/mod_mpm_event.so\n"
        "LoadModule authz_core_module modules/mod_authz_core.so\nLoadModule status_module modules/mod_status.so\n"
        "ExtendedStatus On\nThreadsPerChild 4\nServerLimit 2\nMaxRequestWorkers 8\nStartServers 1\n"
        "<Location /server-status>\nSetHandler server-status\n</Location>\n"
    )
    command = [find_peer("apache2", "httpd"), "-f", str(folder / "conf"), "-DFOREGROUND"]
    with started(command, listens(port), folder / "out"):
        yield f"http://127.0.0.1:{port}/server-status?auto"


@pytest.mark.peer
def test_apache_is_shown_as_its_exporter_shows_it(apache: str, tmp_path: Path) -> None:
    urllib.request.urlopen(apache).close()
    theirs = exporter(
        tmp_path, "prometheus-apache-exporter", f"--scrape_uri={apache}", address_flag="--telemetry.address"
    )
    ours = measure(ApacheCheck(ApacheSettings(url=apache)))
    assert ours.error is None
    exceptions = {
        "apache_exporter_build_info": "of the exporter itself",
        "apache_cpuload": "absent until Apache has used CPU",
    }
    assert_alike(ours, theirs, ("apache_",), exceptions)
    for name in ("apache_version", "apache_info"):
        assert ours.of(name) == {labels: value for (found, labels), value in theirs[0].items() if found == name}
    assert ours.value("apache_scoreboard", state="reply") >= 1


@pytest.fixture(scope="module")
def haproxy(tmp_path_factory: pytest.TempPathFactory, nginx: str) -> Iterator[str]:
    folder, port, stats = tmp_path_factory.mktemp("haproxy"), free_port(), free_port()
    (folder / "conf").write_text(
        "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n"
        f"frontend web\n  bind 127.0.0.1:{port}\n  default_backend app\n"
        f"backend app\n  server one {nginx.removeprefix('http://')} check\n  server gone 127.0.0.1:1 disabled\n"
        f"listen stats\n  bind 127.0.0.1:{stats}\n  stats enable\n  stats uri /stats\n"
        "  http-request use-service prometheus-exporter if { path /metrics }\n"
    )
    with started([find_peer("haproxy"), "-db", "-f", str(folder / "conf")], listens(stats), folder / "out"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/stub_status").close()
        yield f"http://127.0.0.1:{stats}"


@pytest.mark.peer
def test_haproxy_is_shown_as_its_exporter_shows_it(haproxy: str, tmp_path: Path) -> None:
    theirs = exporter(tmp_path, "prometheus-haproxy-exporter", f"--haproxy.scrape-uri={haproxy}/stats;csv")
    ours = measure(HaproxyCheck(HaproxySettings(url=f"{haproxy}/stats;csv")))
    assert ours.error is None
    exceptions = {
        "haproxy_exporter_build_info": "of the exporter itself",
        "haproxy_exporter_csv_parse_failures_total": "likewise",
        "haproxy_exporter_scrapes_total": "likewise",
    }
    assert_alike(ours, theirs, ("haproxy_",), exceptions)
    different = {
        series: (ours.samples[series], value)
        for series, value in theirs[0].items()
        if series[0] not in exceptions
        and series[0].startswith("haproxy_")
        and ("frontend", "stats") not in series[1]
        and ("backend", "stats") not in series[1]
        and ours.samples[series] != value
    }
    assert different == {}
    assert ours.value("haproxy_server_up", backend="app", server="gone") == 0
    assert ours.value("haproxy_frontend_http_responses_total", frontend="web", code="2xx") == 1
    chosen = measure(HaproxyCheck(HaproxySettings(url=f"{haproxy}/stats;csv", exclude="^stats$")))
    assert {dict(labels)["backend"] for labels in chosen.of("haproxy_backend_up")} == {"app"}


@pytest.mark.peer
def test_haproxys_own_exporter_is_forwarded_with_its_types(haproxy: str) -> None:
    theirs, their_types = exposition(f"{haproxy}/metrics")
    for check in (
        HaproxyCheck(HaproxySettings(url=f"{haproxy}/metrics")),
        PrometheusCheck(PrometheusSettings(url=f"{haproxy}/metrics")),
    ):
        ours = measure(check)
        assert ours.error is None
        assert theirs.keys() - ours.samples.keys() == set()
        assert {name: ours.types[name] for name in their_types if ours.of(name)} == {
            name: kind for name, kind in their_types.items() if ours.of(name)
        }
    assert "is ;csv missing?" in str(measure(HaproxyCheck(HaproxySettings(url=f"{haproxy}/stats"))).error)


@pytest.fixture(scope="module")
def php_fpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("php")
    program = find_peer("php-fpm", "php-fpm8.2", "php-fpm8.4")
    (folder / "conf").write_text(
        f"[global]\nerror_log = {folder}/log\n[shop]\nlisten = {folder}/sock\nuser = nobody\ngroup = nogroup\n"
        "pm = static\npm.max_children = 2\npm.status_path = /status\n"
    )
    command = [program, "-n", "-F", "-y", str(folder / "conf")]
    with started(command, (folder / "sock").exists, folder / "out", stop_signal=signal.SIGQUIT):
        yield folder / "sock"


@pytest.mark.peer
def test_php_fpm_pool_is_asked_over_fastcgi(php_fpm: Path) -> None:
    ours = measure(PhpFpmCheck(PhpFpmSettings(address=f"unix:{php_fpm}", processes=True)))
    assert ours.error is None
    pool = {"pool": "shop", "scrape_uri": f"{php_fpm}/status"}
    assert ours.value("phpfpm_up") == 1
    assert 1 <= ours.value("phpfpm_total_processes", **pool) <= 2  # the second is still being started
    assert ours.value("phpfpm_accepted_connections", **pool) >= 1
    assert ours.types["phpfpm_accepted_connections"] == "counter"
    assert {dict(labels)["child"] for labels in ours.of("phpfpm_process_state")} <= {"0", "1"}
    again = measure(PhpFpmCheck(PhpFpmSettings(address=f"unix:{php_fpm}")))
    assert again.value("phpfpm_accepted_connections", **pool) > ours.value("phpfpm_accepted_connections", **pool)
    assert again.of("phpfpm_process_state") == {}
    wrong = measure(PhpFpmCheck(PhpFpmSettings(address=f"unix:{php_fpm}", status_path="/elsewhere")))
    assert (wrong.value("phpfpm_up"), "is pm.status_path = /elsewhere?" in str(wrong.error)) == (0, True)


@pytest.mark.peer
def test_memcached_is_shown_under_its_exporters_names(tmp_path: Path) -> None:
    import socket

    port = free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with started([find_peer("memcached"), "-l", "127.0.0.1", "-p", str(port), *user], listens(port), tmp_path / "log"):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"set a 0 0 5\r\nhello\r\nget a\r\nget b\r\n")
            answer = b""
            while not answer.endswith(b"END\r\nEND\r\n"):
                answer += client.recv(4096)
        ours = measure(MemcachedCheck(MemcachedSettings(address=f"127.0.0.1:{port}")))
    assert ours.error is None
    expected = {
        (("command", "get"), ("status", "hit")): 1,
        (("command", "get"), ("status", "miss")): 1,
        (("command", "set"), ("status", "hit")): 1,
    }
    assert {
        labels: value for labels, value in ours.of("memcached_commands_total").items() if labels in expected
    } == expected
    assert ours.value("memcached_current_items") == 1
    assert ours.value("memcached_limit_bytes") == 64 << 20
    assert ours.value("memcached_up") == 1
    assert list(ours.of("memcached_slab_chunks_used").values()) == [1]
    assert ours.types["memcached_read_bytes_total"] == "counter"


@pytest.mark.parametrize(
    ("make", "up"),
    [
        (lambda port: NginxCheck(NginxSettings(url=f"http://127.0.0.1:{port}/")), "nginx_up"),
        (lambda port: ApacheCheck(ApacheSettings(url=f"http://127.0.0.1:{port}/")), "apache_up"),
        (lambda port: HaproxyCheck(HaproxySettings(url=f"http://127.0.0.1:{port}/")), "haproxy_up"),
        (lambda port: PrometheusCheck(PrometheusSettings(url=f"http://127.0.0.1:{port}/")), "prometheus_target_up"),
        (lambda port: PhpFpmCheck(PhpFpmSettings(address=f"127.0.0.1:{port}")), "phpfpm_up"),
        (lambda port: MemcachedCheck(MemcachedSettings(address=f"127.0.0.1:{port}")), "memcached_up"),
    ],
)
def test_silence_and_garbage_are_down_with_the_reason_in_time(make: "type[Check]", up: str) -> None:
    def is_down(shown: Measured) -> bool:
        return shown.value(up) == 0 and str(shown.error).count("127.0.0.1:") >= 1

    with silent_peer() as port:
        shown = measure(make(port), deadline_seconds=0.5)  # type: ignore[arg-type]
        assert is_down(shown)
        assert shown.seconds < 0.5
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 4096
    for answer in (
        b"",
        b"\x00\xff" * 100,
        b"HTTP/1.1 200 OK\r\n\r\nhello world\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        endless,
        b"STAT\r\n" * 3,
    ):
        with saying_peer(answer) as port:
            assert is_down(measure(make(port), deadline_seconds=2)), answer[:40]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"\x15\x03\x03\x00\x02\x02\x46", "speaks TLS, and was asked without"),
        (b"", "closed the connection without an answer; does it want TLS?"),
        (b"\x1b[2J\x07\xff\x00 not HTTP\r\n", "does not speak HTTP: \\x1b[2J\\x07\\xff"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(17 << 20), "/: the answer is larger than"),
    ],
)
def test_what_is_no_answer_is_told_in_words_that_can_be_printed(answer: bytes, reason: str) -> None:
    with saying_peer(answer) as port:
        shown = measure(NginxCheck(NginxSettings(url=f"http://127.0.0.1:{port}/")))
    assert shown.value("nginx_up") == 0
    assert reason in str(shown.error)
    assert f"127.0.0.1:{port}" in str(shown.error)
    assert str(shown.error).isprintable()
    assert len(str(shown.error)) < 200


def test_exporter_is_forwarded_with_histograms_and_by_name() -> None:
    page = (
        b'# HELP a A.\n# TYPE a counter\na_total 3\n# TYPE h histogram\nh_bucket{le="1"} 2\n'
        b'h_bucket{le="+Inf"} 4\nh_sum 7\nh_count 4\n'
        b'# TYPE g gauge\ng{x="}, \\"{\\n"} 1e3 1700000000000\nplain NaN\n'
    )
    with saying_peer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page)) as port:
        url = f"http://127.0.0.1:{port}/metrics"
        ours = measure(PrometheusCheck(PrometheusSettings(url=url)))
        assert ours.error is None
        assert ours.value("h_bucket", le="+Inf") == 4
        assert ours.types["h"] == "histogram"
        assert ours.types["a_total"] == "counter"
        assert ours.value("g", x='}, "{\n') == 1000
        assert ours.value("prometheus_target_samples") == 7
        chosen = measure(PrometheusCheck(PrometheusSettings(url=url, include="^(h|g)", exclude="_sum$")))
        assert chosen.names() == {"h_bucket", "h_count", "g"} | {
            name for name in ours.names() if name.startswith("prometheus_")
        }
        bounded = measure(PrometheusCheck(PrometheusSettings(url=url, samples_max=2)))
        assert "more than 2 samples" in str(bounded.error)


def test_address_that_is_no_url_is_refused_with_the_cure() -> None:
    with pytest.raises(FieldError, match="write it in full"):
        NginxSettings(url="localhost/status")
