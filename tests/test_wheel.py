"""The wheel carries what a technician needs: tools, firmware, profiles, boards; and it works without a checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_installed_wheel_checks_and_builds_a_site_without_the_checkout(tmp_path, demo_site):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    [wheel] = tmp_path.glob("*.whl")
    unpacked = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    data = unpacked / "satama" / "data"
    for folder in ("firmware", "boards"):
        source = {p.relative_to(ROOT) for p in (ROOT / folder).rglob("*") if p.suffix in (".py", ".toml")}
        assert source == {p.relative_to(data) for p in (data / folder).rglob("*") if p.suffix in (".py", ".toml")}
    site = tmp_path / "my-site.toml"
    site.write_bytes(demo_site.read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", "import satama; print(satama.__file__); from satama.cli import app; app()", "build", str(site)],
        cwd=tmp_path, env={"PYTHONPATH": str(unpacked)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert str(unpacked) in done.stdout.splitlines()[0]
    assert site.with_suffix(".bin").read_bytes().startswith(b"satama-site 2 ")
