"""A real Slurm on this machine, for tests: its daemons, with everything they write in one folder."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

CONFIG = """\
ClusterName=local
SlurmctldHost={host}
SlurmctldPort={port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MaxArraySize=1001
NodeName={host} CPUs={cores} RealMemory=2000 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:8
"""  # a requeued job also waits for cred_expire


CONFIGURED = Path("/etc/slurm/slurm.conf")  # jobs without an environment look here


def why_not():
    """Why Slurm cannot run here, or ""."""
    if CONFIGURED.exists():
        return f"{CONFIGURED} is somebody's"
    missing = [name for name in ("slurmctld", "slurmd", "sbatch", "munged") if not shutil.which(name, path=path())]
    if missing:
        return f"not installed: {', '.join(missing)}"
    return "" if os.geteuid() == 0 else "its daemons have to be started by root"


def path():
    return os.environ["PATH"] + ":/usr/sbin:/sbin"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Slurm:
    def __init__(self, folder):
        self.folder = Path(folder)
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        self.host = socket.gethostname().split(".")[0]
        CONFIGURED.parent.mkdir(exist_ok=True)
        CONFIGURED.write_text(
            CONFIG.format(host=self.host, folder=self.folder, cores=os.cpu_count(), port=free_port(),
                          node_port=free_port())
        )  # fmt: skip
        self.environment = {**os.environ, "PATH": path()}

    def start(self):
        self.start_munge()
        for daemon in ("slurmctld", "slurmd"):
            self.call(daemon)
        self.wait_until(lambda: self.call("sinfo", "-h", "-o", "%t").strip() == "idle", "the node is idle")

    def start_munge(self):
        """Starts munged, which signs jobs; a machine has only one."""
        if subprocess.run(["pgrep", "-x", "munged"], capture_output=True).returncode == 0:
            return
        run = Path("/run/munge")
        run.mkdir(exist_ok=True)
        munge = pwd.getpwnam("munge")
        os.chown(run, munge.pw_uid, munge.pw_gid)
        subprocess.run(["runuser", "-u", "munge", "--", "/usr/sbin/munged"], check=True)

    def stop(self):
        for daemon in ("slurmd", "slurmctld"):
            try:
                os.kill(int((self.folder / f"{daemon}.pid").read_text()), signal.SIGTERM)
            except (OSError, ValueError):
                pass
        CONFIGURED.unlink()
        time.sleep(0.5)

    def cancel_all(self):
        """Ends the jobs of a failed test, so that no other test finds them."""
        self.call("scancel", "--user=root")
        self.wait_until(lambda: not self.call("squeue", "-h"), "no job is left")

    def call(self, *command):
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def wait_until(self, is_so, what, seconds=60):
        end = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > end:
                raise TimeoutError(f"after {seconds} s it is not so that {what}\n{self.call('squeue')}")
            time.sleep(0.1)
