"""One check a file; `check.py` beside this folder is their contract. The tuple below is the whole registry."""

from nunchi.agent.check import Check
from nunchi.agent.checks.apache import ApacheCheck
from nunchi.agent.checks.arp import ArpCheck
from nunchi.agent.checks.cgroup import CgroupCheck
from nunchi.agent.checks.conntrack import ConntrackCheck
from nunchi.agent.checks.cpu import CpuCheck
from nunchi.agent.checks.disk import DiskCheck
from nunchi.agent.checks.dns import DnsCheck
from nunchi.agent.checks.docker import DockerCheck
from nunchi.agent.checks.entropy import EntropyCheck
from nunchi.agent.checks.filefd import FilefdCheck
from nunchi.agent.checks.filesystem import FilesystemCheck
from nunchi.agent.checks.haproxy import HaproxyCheck
from nunchi.agent.checks.http import HttpCheck
from nunchi.agent.checks.icmp import IcmpCheck
from nunchi.agent.checks.load import LoadCheck
from nunchi.agent.checks.memcached import MemcachedCheck
from nunchi.agent.checks.memory import MemoryCheck
from nunchi.agent.checks.mongodb import MongodbCheck
from nunchi.agent.checks.mysql import MysqlCheck
from nunchi.agent.checks.netstat import NetstatCheck
from nunchi.agent.checks.network import NetworkCheck
from nunchi.agent.checks.nginx import NginxCheck
from nunchi.agent.checks.os import OsCheck
from nunchi.agent.checks.php_fpm import PhpFpmCheck
from nunchi.agent.checks.postgres import PostgresCheck
from nunchi.agent.checks.pressure import PressureCheck
from nunchi.agent.checks.processes import ProcessesCheck
from nunchi.agent.checks.prometheus import PrometheusCheck
from nunchi.agent.checks.redis import RedisCheck
from nunchi.agent.checks.schedstat import SchedstatCheck
from nunchi.agent.checks.sockstat import SockstatCheck
from nunchi.agent.checks.softnet import SoftnetCheck
from nunchi.agent.checks.stat import StatCheck
from nunchi.agent.checks.systemd import SystemdCheck
from nunchi.agent.checks.tcp import TcpCheck
from nunchi.agent.checks.textfile import TextfileCheck
from nunchi.agent.checks.thermal import ThermalCheck
from nunchi.agent.checks.time import TimeCheck
from nunchi.agent.checks.timex import TimexCheck
from nunchi.agent.checks.tls import TlsCheck
from nunchi.agent.checks.udp_queues import UdpQueuesCheck
from nunchi.agent.checks.uname import UnameCheck
from nunchi.agent.checks.vmstat import VmstatCheck

CHECKS: tuple[type[Check], ...] = (
    ApacheCheck,
    ArpCheck,
    CgroupCheck,
    ConntrackCheck,
    CpuCheck,
    DiskCheck,
    DnsCheck,
    DockerCheck,
    EntropyCheck,
    FilefdCheck,
    FilesystemCheck,
    HaproxyCheck,
    HttpCheck,
    IcmpCheck,
    LoadCheck,
    MemcachedCheck,
    MemoryCheck,
    MongodbCheck,
    MysqlCheck,
    NetstatCheck,
    NetworkCheck,
    NginxCheck,
    OsCheck,
    PhpFpmCheck,
    PostgresCheck,
    PressureCheck,
    ProcessesCheck,
    PrometheusCheck,
    RedisCheck,
    SchedstatCheck,
    SockstatCheck,
    SoftnetCheck,
    StatCheck,
    SystemdCheck,
    TcpCheck,
    TextfileCheck,
    ThermalCheck,
    TimeCheck,
    TimexCheck,
    TlsCheck,
    UdpQueuesCheck,
    UnameCheck,
    VmstatCheck,
)
