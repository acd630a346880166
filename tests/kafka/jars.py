"""Where a real Kafka comes from: its jars, resolved once by Maven into a cache of the user's.

The cache is a directory named after what was resolved. It appears complete or not at all: Maven fills a temporary
directory beside it, which is then renamed. So two runs at the same moment, or a broken one, do no harm.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

KAFKA_VERSION = "4.3.0"
JAVA_VERSION_MIN = 17
RESOLVE_SECONDS_MAX = 600

_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId>
  <artifactId>kafka-broker</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{version}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.24.3</version>
    </dependency>
  </dependencies>
  <build>
    <plugins>
      <plugin>
        <groupId>org.apache.maven.plugins</groupId>
        <artifactId>maven-dependency-plugin</artifactId>
        <version>3.8.1</version>
      </plugin>
    </plugins>
  </build>
</project>
"""


class KafkaUnavailable(Exception):
    """This machine cannot run a Kafka broker; the message says what is missing."""


def find_java() -> str:
    """The Java to run: that of ``JAVA_HOME``, else the first on the path.

    Raises:
        KafkaUnavailable: There is none, or it is too old.
    """
    if os.name != "posix":
        raise KafkaUnavailable("a broker for tests needs Linux or macOS")
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if not java or not os.access(java, os.X_OK):
        where = f"JAVA_HOME={home} has no bin/java" if home else "java is not on the path"
        raise KafkaUnavailable(f"{where}; install Java {JAVA_VERSION_MIN} or newer")
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', told.stderr + told.stdout)
    if not found or int(found[1]) < JAVA_VERSION_MIN:
        first = (told.stderr + told.stdout).partition("\n")[0]
        raise KafkaUnavailable(f"{java} says {first!r}; install Java {JAVA_VERSION_MIN} or newer")
    return java


def find_jars(version: str = KAFKA_VERSION) -> Path:
    """The directory with Kafka's jars; resolves them by Maven if the cache has none.

    Raises:
        KafkaUnavailable: They are not in the cache, and Maven is missing or failed.
    """
    pom = _POM.format(version=version)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trio-consumer"
    jars = cache / f"kafka-{version}-{hashlib.sha256(pom.encode()).hexdigest()[:12]}"
    if jars.is_dir():
        return jars
    maven = shutil.which("mvn")
    if not maven:
        raise KafkaUnavailable(f"Kafka's jars are not in {jars} and Maven's mvn is not on the path; install Maven")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="resolving-", dir=cache) as name:
        work = Path(name)
        (work / "pom.xml").write_text(pom)
        _resolve(maven, work)
        try:
            (work / "jars").rename(jars)
        except OSError:
            if not jars.is_dir():  # else somebody else was quicker, and theirs are the same
                raise
    return jars


def _resolve(maven: str, work: Path) -> None:
    command = [maven, "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={work / 'jars'}"]
    try:
        subprocess.run(
            command,
            cwd=work,
            check=True,
            timeout=RESOLVE_SECONDS_MAX,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except subprocess.TimeoutExpired as error:
        raise KafkaUnavailable(f"Maven did not resolve Kafka's jars in {RESOLVE_SECONDS_MAX} s") from error
    except subprocess.CalledProcessError as error:
        raise KafkaUnavailable(f"Maven can't resolve Kafka's jars:\n{error.stdout[-2000:]}") from error
