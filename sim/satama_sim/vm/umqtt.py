"""umqtt.simple, which stock ESP32 images freeze and the unix port lacks: fetched once from PyPI, verified, kept beside the environment."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "1.3.4"
SHA256 = "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"
_PROJECT = "micropython-umqtt.simple"
_MEMBER = f"{_PROJECT}-{VERSION}/umqtt/simple.py"


class UmqttMissing(Exception):
    """umqtt.simple is not here and could not be fetched; the text says what to do."""


def folder() -> Path:
    """Where it is kept: in the Python environment that satama runs in, so that removing the one removes the other."""
    return Path(sys.prefix, "share", "satama", f"umqtt.simple-{VERSION}")


def ensure() -> Path:
    """The folder to put on the VM's path; downloads on first use. Raises UmqttMissing."""
    place = folder()
    module = place / "umqtt" / "simple.py"
    if module.is_file():
        return place
    source = _extract(_download())
    try:
        module.parent.mkdir(parents=True, exist_ok=True)
        draft = module.with_suffix(f".{os.getpid()}")
        draft.write_bytes(source)
        os.replace(draft, module)
    except OSError as error:
        raise UmqttMissing(
            f"cannot write {module}: {error.strerror} -> run once with the right to write there"
        ) from None
    return place


def _download() -> bytes:
    from pypi_simple import PyPISimple

    try:
        with PyPISimple() as registry, tempfile.TemporaryDirectory() as draft:
            for package in registry.get_project_page(_PROJECT).packages:
                if package.version == VERSION and package.package_type == "sdist":
                    path = Path(draft, "umqtt.tar.gz")
                    registry.download_package(package, path, verify=True)
                    return path.read_bytes()
    except Exception as error:
        raise UmqttMissing(
            f"{_PROJECT} {VERSION} could not be fetched ({type(error).__name__}: {error}) -> check the network and try again; "
            f"or put its umqtt/simple.py into {folder()}"
        ) from None
    raise UmqttMissing(
        f"the registry does not list {_PROJECT} {VERSION} any more -> put its umqtt/simple.py into {folder()}"
    )


def _extract(archive: bytes) -> bytes:
    found = hashlib.sha256(archive).hexdigest()
    if found != SHA256:
        raise UmqttMissing(
            f"{_PROJECT} {VERSION}: sha256 is {found}, expected {SHA256}: not used -> try again from another network"
        )
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.extractfile(_MEMBER)
        if member is None:
            raise UmqttMissing(f"{_PROJECT} {VERSION} holds no {_MEMBER}")
        return member.read()
