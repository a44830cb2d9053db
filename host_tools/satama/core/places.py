"""Where the device's files lie: inside the installed package, or in the checkout that this file belongs to."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_ROOT = _PACKAGE / "data" if (_PACKAGE / "data" / "firmware").is_dir() else _PACKAGE.parents[1]

FIRMWARE: Path = _ROOT / "firmware"
PROFILES: Path = FIRMWARE / "profiles"
BOARDS: Path = _ROOT / "boards"
SITES: Path = _ROOT / "sites" if _ROOT == _PACKAGE / "data" else _ROOT / "sim" / "sites"
