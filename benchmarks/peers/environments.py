"""Environments of the peers, in a cache of the user's.

Each is a directory that is named after what is in it: other versions, another interpreter or another source give
another name. It appears complete or not at all: it is made under another name beside, tried out, and then renamed. So
two set-ups at the same moment, or a broken one, do no harm.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from tests.kafka.jars import KafkaUnavailable, find_java

from ..runtimes import RuntimeMissing, Tell

HERE = Path(__file__).parent
STEP_SECONDS_MAX = 600.0
"""For one step of a set-up, which loads from a registry."""
REMEDY = "run python -m benchmarks setup"
JAVA_FLAGS = ("-Xmx1g", "-XX:+UseParallelGC")
_LOOK = "import ensurepip, venv, sys; print(sys.implementation.name, *sys.version_info[:3], sys.base_prefix)"


def cache_directory() -> Path:
    """Where environments live."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trio-consumer"


# Python


@attrs.frozen
class Python:
    """An interpreter to make environments of.

    Args:
        path: Of its executable.
        version: Three numbers.
        prefix: Where it is installed, which is the same for all environments made of it.
    """

    path: str
    version: tuple[int, int, int]
    prefix: str


def ask_python(path: str) -> Python | None:
    """``None`` unless it is a CPython that can make environments."""
    try:
        told = subprocess.run([path, "-c", _LOOK], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if told.returncode:
        return None
    name, major, minor, patch, prefix = told.stdout.strip().split(" ", 4)
    return Python(path, (int(major), int(minor), int(patch)), prefix) if name == "cpython" else None


def known_pythons(minors: Sequence[int]) -> Iterator[str]:
    """Where a CPython 3 of one of these minor versions may be: this one, on the path, of pyenv."""
    if sys.version_info[1] in minors:
        yield sys.executable
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    for minor in minors:
        if found := shutil.which(f"python3.{minor}"):
            yield found
        patches = [path for path in versions.glob(f"3.{minor}.*") if path.name.rpartition(".")[2].isdecimal()]
        for path in sorted(patches, key=lambda path: -int(path.name.rpartition(".")[2])):
            yield str(path / "bin" / "python")


@attrs.frozen(kw_only=True)
class PythonEnvironment:
    """A virtual environment with pinned packages.

    Args:
        package: That of the peer.
        requirements: The file that pins all packages; its name is the environment's.
        minors: Minor versions of CPython 3 that will do, the best first. If this Python is one of them, it is taken:
            then the peer runs on the same interpreter as ours.
        check: What must work in it, as Python source.
        cache: Where environments live.
        find: Paths where an interpreter may be.
    """

    package: str
    requirements: Path
    minors: Sequence[int]
    check: str
    cache: Callable[[], Path] = cache_directory
    find: Callable[[Sequence[int]], Iterator[str]] = known_pythons

    @property
    def name(self) -> str:
        return self.requirements.stem

    def described(self) -> str:
        """The version of the peer, and what it runs on."""
        pins = dict(line.split("==") for line in self.requirements.read_text().splitlines() if "==" in line)
        return f"{pins[self.package]} on CPython {'.'.join(map(str, self._python().version))}"

    def command(self) -> list[str]:
        """See `Environment`."""
        directory = self._directory(self._python())
        if not directory.is_dir():
            raise RuntimeMissing(f"{self.name} is not set up in {directory}: {REMEDY}")
        return [str(directory / "bin" / "python"), "-m", "benchmarks.child"]

    def set_up(self, tell: Tell) -> None:
        """See `Environment`."""
        python = self._python()
        directory = self._directory(python)
        if directory.is_dir():
            return
        tell(f"{self.name}: installing into {directory}")
        with made_beside(directory) as work:
            run([python.path, "-m", "venv", str(work)], work, f"{python.path} can't make an environment")
            own = str(work / "bin" / "python")
            install = [own, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:", "-r"]
            run([*install, str(self.requirements)], work, f"pip can't install {self.requirements.name}")
            run([own, "-c", self.check], work, f"{self.name} does not work on {python.path}")

    def _python(self) -> Python:
        for path in self.find(self.minors):
            found = ask_python(path)
            if found is not None and found.version[0] == 3 and found.version[1] in self.minors:
                return found
        wanted = ", ".join(f"3.{minor}" for minor in sorted(self.minors))
        raise RuntimeMissing(
            f"{self.name} needs CPython {wanted}, with venv: there is none on the path or in pyenv; install one, for "
            f"instance by pyenv install 3.{self.minors[0]}"
        )

    def _directory(self, python: Python) -> Path:
        version = ".".join(map(str, python.version))
        contents = digest(self.requirements.read_text(), python.prefix, self.check)
        return self.cache() / f"{self.name}-cpython-{version}-{contents}"


# Java


@attrs.frozen(kw_only=True)
class JavaEnvironment:
    """Our program for a Java peer, compiled, with the libraries that it needs.

    Args:
        package: Artifact of the peer.
        source: Directory with ``pom.xml`` and one source file.
        cache: Where environments live.
        java: Path of the Java to run.
    """

    package: str
    source: Path
    cache: Callable[[], Path] = cache_directory
    java: Callable[[], str] = find_java

    def described(self) -> str:
        """The version of the peer, and what it runs on."""
        pom = (self.source / "pom.xml").read_text(encoding="utf-8")
        [pinned] = re.findall(rf"<artifactId>{self.package}</artifactId>\s*<version>(.+?)</version>", pom)
        told = subprocess.run([self._java(), "-version"], capture_output=True, text=True, check=False).stderr
        running = re.search(r'version "(.+?)"', told)
        return f"{pinned} on Java {running[1] if running else 'of unknown version'}"

    def command(self) -> list[str]:
        """See `Environment`."""
        java, directory = self._java(), self._directory()
        if not directory.is_dir():
            raise RuntimeMissing(f"{self._program.stem} is not set up in {directory}: {REMEDY}")
        path = os.pathsep.join((str(directory / "target" / "classes"), str(directory / "jars" / "*")))
        return [java, *JAVA_FLAGS, "-cp", path, self._program.stem]

    def set_up(self, tell: Tell) -> None:
        """See `Environment`."""
        self._java()
        directory = self._directory()
        if directory.is_dir():
            return
        maven = shutil.which("mvn")
        if not maven:
            raise RuntimeMissing("Maven's mvn is not on the path: install Maven")
        tell(f"{self._program.stem}: compiling into {directory}")
        with made_beside(directory) as work:
            for file in self._files:
                shutil.copy(file, work)
            goals = ["compile", "dependency:copy-dependencies", "-DincludeScope=runtime"]
            command = [maven, "-q", "-B", *goals, f"-DoutputDirectory={work / 'jars'}"]
            run(command, work, f"Maven can't compile {self._program.name}")

    def _java(self) -> str:
        try:
            return self.java()
        except KafkaUnavailable as error:
            raise RuntimeMissing(str(error)) from error

    @property
    def _program(self) -> Path:
        [program] = self.source.glob("*.java")
        return program

    @property
    def _files(self) -> Sequence[Path]:
        return self.source / "pom.xml", self._program

    def _directory(self) -> Path:
        contents = digest(*(file.read_text(encoding="utf-8") for file in self._files))
        return self.cache() / f"{self._program.stem}-{contents}"


# Both


def digest(*contents: str) -> str:
    """Short, for a name."""
    return hashlib.sha256("\0".join(contents).encode()).hexdigest()[:12]


@contextmanager
def made_beside(directory: Path) -> Iterator[Path]:
    """A directory to work in, which becomes `directory` if all goes well, and is removed if not."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="set-up-", dir=directory.parent) as name:
        work = Path(name, directory.name)
        work.mkdir()
        yield work
        try:
            work.rename(directory)
        except OSError:
            if not directory.is_dir():  # else somebody else was quicker, and theirs is the same
                raise


def run(command: Sequence[str], directory: Path, otherwise: str) -> None:
    """Run a step of a set-up.

    Raises:
        RuntimeMissing: It failed; `otherwise` says what that means.
    """
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=STEP_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeMissing(f"{otherwise}: no end after {STEP_SECONDS_MAX:g} s") from error
    except OSError as error:
        raise RuntimeMissing(f"{otherwise}: {error}") from error
    if done.returncode:
        raise RuntimeMissing(f"{otherwise}:\n{done.stdout.strip()[-2_000:]}")


ENVIRONMENTS: Mapping[str, PythonEnvironment | JavaEnvironment] = {
    "aiokafka": PythonEnvironment(
        package="aiokafka",
        requirements=HERE / "requirements" / "aiokafka.txt",
        minors=(13, 12, 14, 11),
        check="import uvloop, aiokafka, aiokafka.record._crecords",
    ),
    "pyrallel": PythonEnvironment(
        package="pyrallel-consumer",
        requirements=HERE / "requirements" / "pyrallel.txt",
        minors=(13, 12, 14),
        check="import pyrallel_consumer",
    ),
    "java": JavaEnvironment(package="parallel-consumer-core", source=HERE / "java"),
}
"""By the name of the runtime."""


def versions() -> dict[str, str]:
    """Of the peers that are set up, by the name of their packages."""
    found = {}
    for environment in ENVIRONMENTS.values():
        try:
            environment.command()
        except RuntimeMissing:
            continue
        found[environment.package] = environment.described()
    return found
