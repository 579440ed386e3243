"""Slurm's accounting on loopback: a MariaDB and a slurmdbd in a cluster's own folder, on ports that were free.

Debian's packages are enough (mariadb-server, slurmdbd).
"""

import os
import pwd
import secrets
import shutil
import subprocess
from pathlib import Path

NEEDED = ("mariadbd", "mariadb-install-db", "mariadb", "slurmdbd", "sacctmgr", "sacct")
SMALL = ("--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M", "--innodb-lock-wait-timeout=900", "--skip-log-bin")

SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={munge}
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={dbd_port}
SlurmUser=root
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={db_port}
StorageUser=slurm
StoragePass={password}
StorageLoc=slurm
"""
SLURM_CONF = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd_port}
AccountingStoragePass={munge}
AccountingStoreFlags=job_comment
"""


def missing() -> str:
    """Why there can be no accounting here; empty when there can."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    return f"no accounting: {', '.join(absent)} not installed (Debian: slurmdbd mariadb-server)" if absent else ""


class Accounting:
    """The two servers of one cluster: what slurm.conf must say, and the commands that start them."""

    def __init__(self, folder: Path, munge: Path, ports: tuple[int, int]) -> None:
        self.folder = folder
        self._db_port, dbd_port = ports
        self._password = secrets.token_hex(8)
        self.socket = folder / "db" / "db.sock"
        values = {"folder": folder, "munge": munge, "db_port": self._db_port, "dbd_port": dbd_port, "password": self._password}
        conf = folder / "slurmdbd.conf"
        conf.write_text(SLURMDBD_CONF.format(**values))
        conf.chmod(0o600)
        self.conf = SLURM_CONF.format(**values)

    def make(self) -> None:
        """An empty database, owned by its server's user."""
        user = pwd.getpwnam("mysql")
        self.socket.parent.mkdir()
        os.chown(self.socket.parent, user.pw_uid, user.pw_gid)
        words = ["mariadb-install-db", "--no-defaults", "--user=mysql", f"--datadir={self.socket.parent}", "--skip-test-db"]
        words += ["--auth-root-authentication-method=normal"]
        subprocess.run(words, check=True, capture_output=True, timeout=60)

    def server(self) -> list[str]:
        """MariaDB, on loopback."""
        place = [f"--datadir={self.socket.parent}", f"--socket={self.socket}", f"--pid-file={self.socket.parent}/db.pid"]
        return ["mariadbd", "--no-defaults", "--user=mysql", *place, "--bind-address=127.0.0.1", f"--port={self._db_port}", *SMALL]

    def is_up(self) -> bool:
        """Once it is: with Slurm's user and database in it."""
        slurm = "slurm@'127.0.0.1'"
        sql = f"CREATE USER IF NOT EXISTS {slurm} IDENTIFIED BY '{self._password}'; GRANT ALL ON slurm.* TO {slurm}"
        words = ["mariadb", "--no-defaults", f"--socket={self.socket}", "-e", sql]
        return subprocess.run(words, capture_output=True, timeout=20, check=False).returncode == 0
