"""A real SLURM cluster on this machine: munge, accounting, a controller and one or more nodes.

Needs root and Debian 12; installs what is missing from Debian's packages. All daemons listen on
loopback or on unix sockets, with a configuration of their own in one folder. CPUs, memory and GPUs
are what the configuration says, not what the machine has: jobs of the paper's size can be placed.

    python -m tests.real.slurm.cluster up|down [--nodes N]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

FOLDER = Path("/var/lib/evpv-slurm-test")
ETC = Path("/etc/slurm/slurm.conf")
CONTROLLER_PORT, DATABASE_PORT, FIRST_NODE_PORT = 16817, 16819, 16821

PACKAGES = {
    "slurmctld": ["slurmctld", "slurmd", "slurm-client", "slurm-wlm-basic-plugins"],
    "slurmdbd": ["slurmdbd", "slurm-wlm-mysql-plugin"],
    "munged": ["munge"],
    "mariadbd": ["mariadb-server-core", "mariadb-client-core"],
}
"""Debian's packages by a program that they bring."""

SLURM_CONF = """\
ClusterName=evpvtest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.sock
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=2,batch_sched_delay=0
MpiDefault=none
GresTypes=gpu
ReturnToService=2
SlurmdTimeout=300
KillWait=5
MinJobAge=300
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
JobRequeue=1
DefMemPerCPU=1000
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={database_port}
AccountingStoragePass={folder}/run/munge.sock
AccountingStorageTRES=gres/gpu
PartitionName=cpu Nodes=ALL Default=YES MaxTime=7-00:00:00 State=UP
PartitionName=gpu Nodes=ALL MaxTime=7-00:00:00 State=UP
"""

SLURMDBD_CONF = """\
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={database_port}
CommunicationParameters=NoInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.sock
SlurmUser=root
PidFile={folder}/run/slurmdbd.pid
LogFile={folder}/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct_db
"""


@dataclass(frozen=True)
class Shape:
    """What the cluster says that it has; each node has the same."""

    nodes: int = 1
    cpus: int = 64
    memory_mb: int = 512_000
    gpus: int = 8
    gpu_type: str = "h100"


def up(shape: Shape) -> None:
    """Start the cluster; what runs already is left alone.

    Raises:
        RuntimeError: this user or machine cannot run it, or a daemon does not start.
    """
    if reason := missing():
        raise RuntimeError(reason)
    _install()
    _configure(shape)
    os.environ["SLURM_CONF"] = str(FOLDER / "slurm.conf")
    run, log = FOLDER / "run", FOLDER / "log"
    if not _running("munged"):
        _start(
            "munged", "--force", f"--key-file={FOLDER}/munge/munge.key",
            f"--socket={run}/munge.sock", f"--pid-file={run}/munged.pid",
            f"--log-file={log}/munged.log", f"--seed-file={FOLDER}/munge/seed",
        )  # fmt: skip
        _wait("munged", lambda: (run / "munge.sock").exists())
    if not _running("mariadbd"):
        _start_database()
    if not _running("slurmdbd"):
        # The database's socket is no setting of slurmdbd; its client library reads this variable.
        _start("slurmdbd", MYSQL_UNIX_PORT=f"{run}/mysql.sock")
        _wait("slurmdbd", lambda: _succeeds("sacctmgr", "-n", "show", "cluster"))
        for words in (
            ["add", "cluster", "evpvtest"],
            ["add", "account", "test", "Cluster=evpvtest", "Description=test", "Organization=test"],
            ["add", "user", "root", "Account=test", "Cluster=evpvtest"],
        ):
            subprocess.run(["sacctmgr", "-i", *words], capture_output=True, check=False)
    _start_controller()
    for number in range(1, shape.nodes + 1):
        start_node(f"n{number}")
    _wait("the nodes", lambda: _usable_nodes() == shape.nodes)


def down() -> None:
    """Stop the cluster, with the jobs that it runs, and remove its files."""
    if not FOLDER.exists():
        return
    os.environ["SLURM_CONF"] = str(FOLDER / "slurm.conf")
    if _running("slurmctld") and (jobs := _output("squeue", "-h", "-a", "-o", "%A").split()):
        subprocess.run(["scancel", "--hurry", *set(jobs)], check=False, timeout=30)
        with contextlib.suppress(RuntimeError):
            _wait("jobs to end", lambda: not _output("squeue", "-h", "-a", "-o", "%A").split(), 20)
    for name in sorted(path.stem for path in (FOLDER / "run").glob("slurmd-*.pid")):
        _stop(name)
    _sweep()
    for name in ("slurmctld", "slurmdbd", "mariadbd", "munged"):
        _stop(name)
    if ETC.is_symlink() and ETC.readlink() == FOLDER / "slurm.conf":
        ETC.unlink()
    shutil.rmtree(FOLDER)


@contextlib.contextmanager
def without_controller() -> Iterator[None]:
    """Stop the controller until the block ends; jobs run on."""
    _stop("slurmctld")
    try:
        yield
    finally:
        _start_controller()


def _start_controller() -> None:
    if not _running("slurmctld"):
        _start("slurmctld", "-f", os.environ["SLURM_CONF"])
        _wait("slurmctld", lambda: "is UP" in _output("scontrol", "ping"))


def start_node(name: str) -> None:
    """Start one node's daemon."""
    if not _running(f"slurmd-{name}"):
        (FOLDER / "spool" / name).mkdir(exist_ok=True)
        _start("slurmd", "-N", name, "-f", os.environ["SLURM_CONF"], pid_name=f"slurmd-{name}")


def lose_node(name: str) -> None:
    """Kill one node's daemons and all that they started, as a power cut does: nobody reports it.

    The controller is told at once what it would notice after SlurmdTimeout, which is long: a busy
    machine must not look like a lost node.
    """
    jobs = _output("squeue", "-h", "-w", name, "-o", "%A").split()
    _stop(f"slurmd-{name}", signal.SIGKILL)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            title = " ".join(process.cmdline())
            if title.startswith("slurmstepd: ") and any(f"[{job}." in title for job in jobs):
                process.kill()
    _sweep(f"SLURMD_NODENAME={name}")
    _output("scontrol", "update", f"NodeName={name}", "State=DOWN", "Reason=lost")


def missing() -> str | None:
    """Return why there can be no cluster here; None when there can."""
    if os.geteuid() != 0:
        return "needs root"
    if not all(map(shutil.which, PACKAGES)) and not shutil.which("apt-get"):
        return "needs SLURM, or Debian's apt-get to install it"
    if ETC.exists() and not (ETC.is_symlink() and ETC.readlink() == FOLDER / "slurm.conf"):
        return f"{ETC} belongs to another cluster"
    return None


def _install() -> None:
    wanted = [name for program, names in PACKAGES.items() if not shutil.which(program)
              for name in names]  # fmt: skip
    if not wanted:
        return
    # The packages' own daemons are not started.
    policy = Path("/usr/sbin/policy-rc.d")
    made = not policy.exists()
    if made:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted]
        for command in (["apt-get", "update", "-qq"], install):
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    finally:
        if made:
            policy.unlink()


def _configure(shape: Shape) -> None:
    for name in ("run", "log", "state", "gpu", "munge", "spool"):
        (FOLDER / name).mkdir(parents=True, exist_ok=True)
    (FOLDER / "munge").chmod(0o700)
    key = FOLDER / "munge" / "munge.key"
    if not key.exists():
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
    # SLURM wants character devices; nothing opens these.
    for number in range(shape.gpus):
        device = FOLDER / "gpu" / f"gpu{number}"
        device.unlink(missing_ok=True)
        device.symlink_to("/dev/null")
    host = socket.gethostname().partition(".")[0]
    names = {
        "host": host, "folder": FOLDER, "controller_port": CONTROLLER_PORT,
        "database_port": DATABASE_PORT,
    }  # fmt: skip
    nodes = "".join(
        f"NodeName=n{number} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} "
        f"CPUs={shape.cpus} RealMemory={shape.memory_mb} "
        f"Gres=gpu:{shape.gpu_type}:{shape.gpus} State=UNKNOWN\n"
        for number, port in enumerate(range(FIRST_NODE_PORT, FIRST_NODE_PORT + shape.nodes), 1)
    )
    conf = SLURM_CONF.format(**names).replace("PartitionName", f"{nodes}PartitionName", 1)
    (FOLDER / "slurm.conf").write_text(conf)
    gpus = f"{FOLDER}/gpu/gpu[0-{shape.gpus - 1}]"
    (FOLDER / "gres.conf").write_text(
        f"AutoDetect=off\nName=gpu Type={shape.gpu_type} File={gpus}\n"
    )
    database = FOLDER / "slurmdbd.conf"
    database.write_text(SLURMDBD_CONF.format(**names))
    database.chmod(0o600)
    ETC.parent.mkdir(exist_ok=True)
    ETC.unlink(missing_ok=True)
    ETC.symlink_to(FOLDER / "slurm.conf")
    _map_host(host)


def _map_host(host: str) -> None:
    """Let the machine's name mean loopback: srun and slurmdbd listen on what it means."""
    with contextlib.suppress(OSError):
        if socket.gethostbyname(host).startswith("127."):
            return
    hosts = Path("/etc/hosts")
    hosts.write_text(f"127.0.0.1 {host}\n{hosts.read_text()}")


def _start_database() -> None:
    run, log, data = FOLDER / "run", FOLDER / "log", FOLDER / "db"
    if not data.exists():
        with (log / "mariadb-install.log").open("wb") as stream:
            subprocess.run(
                ["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}",
                 "--skip-test-db", "--auth-root-authentication-method=normal"],
                check=True, stdout=stream, stderr=stream,
            )  # fmt: skip
    client = ("mariadb", "--no-defaults", "-uroot", f"--socket={run}/mysql.sock", "-e", "select 1")
    _start(
        "mariadbd", "--no-defaults", "--user=root", f"--datadir={data}",
        f"--socket={run}/mysql.sock", f"--pid-file={run}/mariadbd.pid", "--skip-networking",
        "--skip-log-bin", "--innodb-buffer-pool-size=128M", "--innodb-flush-log-at-trx-commit=0",
        "--innodb-lock-wait-timeout=900", "--skip-name-resolve",
    )  # fmt: skip
    _wait("mariadbd", lambda: _succeeds(*client))


def _start(program: str, *options: str, pid_name: str | None = None, **variables: str) -> None:
    with (FOLDER / "log" / f"{pid_name or program}.out").open("ab") as stream:
        subprocess.Popen(
            [program, *options],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            env={**os.environ, **variables},
        )
    _wait(pid_name or program, lambda: _running(pid_name or program))


def _pid(name: str) -> int | None:
    try:
        pid = int((FOLDER / "run" / f"{name}.pid").read_text())
        return pid if psutil.Process(pid).name().startswith(name.partition("-")[0][:15]) else None
    except (OSError, ValueError, psutil.Error):
        return None


def _running(name: str) -> bool:
    return _pid(name) is not None


def _stop(name: str, with_signal: signal.Signals = signal.SIGTERM) -> None:
    if pid := _pid(name):
        process = psutil.Process(pid)
        process.send_signal(with_signal)
        with contextlib.suppress(psutil.NoSuchProcess):
            try:
                process.wait(20)
            except psutil.TimeoutExpired:
                process.kill()
    (FOLDER / "run" / f"{name}.pid").unlink(missing_ok=True)


def _sweep(wanted: str = "SLURM_CLUSTER_NAME=evpvtest") -> None:
    """Kill the processes of jobs that no daemon looks after any more."""
    name, _, value = wanted.partition("=")
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            environment = process.environ()
            if environment.get(name) == value and "SLURM_JOB_ID" in environment:
                process.kill()


def _usable_nodes() -> int:
    states = ("-t", "idle,mixed,allocated")
    return len(set(_output("sinfo", "-h", "-N", "-p", "cpu", *states, "-o", "%N").split()))


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=30)
    return done.stdout


def _wait(what: str, is_there: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not is_there():
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: nothing after {seconds:g} s; see {FOLDER / 'log'}")
        time.sleep(0.1)


@contextlib.contextmanager
def running(shape: Shape) -> Iterator[None]:
    """Run a cluster until the block ends."""
    up(shape)
    try:
        yield
    finally:
        down()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["up", "down"])
    parser.add_argument("--nodes", type=int, default=1, help="default: %(default)s")
    arguments = parser.parse_args()
    if arguments.command == "down":
        down()
    else:
        up(Shape(nodes=arguments.nodes))
        print(f"export SLURM_CONF={FOLDER / 'slurm.conf'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
