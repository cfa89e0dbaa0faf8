"""A real PostgreSQL server for the duration of a test run, if its programs are installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pg8000.native
import psutil

_FOLDERS = os.pathsep.join([os.environ["PATH"], *map(str, Path("/usr/lib/postgresql").glob("*/bin"))])
INITDB, POSTGRES = (shutil.which(name, path=_FOLDERS) for name in ("initdb", "postgres"))
# PostgreSQL refuses to run as root
_USER = "nobody" if hasattr(os, "geteuid") and os.geteuid() == 0 else None


class Postgres:
    """A server with its own folder and without a port; connections use a socket in the folder."""

    def __init__(self) -> None:
        assert INITDB and POSTGRES
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path is limited to some 100 characters
        self.folder.chmod(0o755)
        if _USER:
            shutil.chown(self.folder, _USER)
        self._data = self.folder / "data"
        options = ["-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        command = [INITDB, "-D", str(self._data), *options]
        subprocess.run(command, check=True, capture_output=True, user=_USER, cwd=self.folder)
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://tester@/postgres?host={self.folder}"

    def start(self) -> None:
        assert POSTGRES
        command = [POSTGRES, "-D", str(self._data), "-k", str(self.folder), "-c", "listen_addresses="]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, user=_USER, cwd=self.folder)
        for _ in range(600):
            if self._accepts():
                return
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.1)
        raise AssertionError("PostgreSQL did not start")

    def kill(self) -> None:
        """Kill the server's process, as in a crash, and wait until its connections' processes have noticed and
        ended.
        """
        connections = psutil.Process(self.process.pid).children()
        self.process.kill()
        self.process.wait()
        assert not psutil.wait_procs(connections, timeout=60)[1]
        lock = self._data / "postmaster.pid"
        lock.unlink(missing_ok=True)  # its number could belong to another process by now

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)
        shutil.rmtree(self.folder)

    def execute(self, *statements: str) -> None:
        """Execute each statement separately, as an administrator."""
        connection = pg8000.native.Connection("tester", database="postgres", unix_sock=self._socket, timeout=5)
        try:
            for statement in statements:
                connection.run(statement)
        finally:
            connection.close()

    @property
    def _socket(self) -> str:
        return f"{self.folder}/.s.PGSQL.5432"

    def _accepts(self) -> bool:
        try:
            self.execute("SELECT 1")
            return True
        except (pg8000.Error, OSError):
            return False
