"""Where profiles lie, and loading them: read, checked by form, then by sense."""

from pathlib import Path

from ..core import places
from ..core.problems import Problem, Problems, Source, closest
from .profile import Profile
from .rules import check_profile


def list_profiles() -> list[str]:
    """Names of the device types that come with Satama, sorted."""
    return sorted(path.stem for path in places.PROFILES.glob("*.toml"))


def profile_path(name_or_path: str | Path, base: Path | None = None) -> Path:
    """Where a profile lies: a plain name is one of ours; with a slash or .toml it is a path, relative to `base`."""
    text = str(name_or_path)
    if "/" in text or text.endswith(".toml"):
        return (base or Path()) / text
    return places.PROFILES / f"{text}.toml"


def load_profile(name_or_path: str | Path, base: Path | None = None) -> Profile:
    """A profile by name or path (see profile_path). Raises Problems: missing, or with mistakes."""
    path = profile_path(name_or_path, base)
    if path.parent == places.PROFILES and not path.exists():
        what = f"there is no profile named '{name_or_path}'"
        raise Problems([Problem(path, None, "", what, closest(name_or_path, list_profiles(), "profiles"))])
    source = Source.read(path, "profile")
    profile = source.parse(Profile)
    problems = list(check_profile(profile, source))
    if problems:
        raise Problems(problems)
    return profile
