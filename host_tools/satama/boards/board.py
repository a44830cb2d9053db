"""Supported boards: boards/<name>/board.toml, found and read."""

from pathlib import Path

from ..core import places
from ..core.problems import Problem, Problems, Source, closest
from .model import Board
from .rules import check_board


def list_boards() -> list[str]:
    """Names of the boards that come with Satama, sorted."""
    return sorted(path.parent.name for path in places.BOARDS.glob("*/board.toml"))


def is_path(text: str) -> bool:
    """Whether a board is named by its file or folder; on Windows with backslashes."""
    return "/" in text or "\\" in text or text.endswith(".toml")


def board_path(name_or_path: str | Path, base: Path | None = None) -> Path:
    """Where a board's file lies, or would lie; see load_board."""
    text = str(name_or_path)
    if not is_path(text):
        return places.BOARDS / text / "board.toml"
    path = (base or Path()) / text
    return path if path.suffix == ".toml" else path / "board.toml"


def load_board(name_or_path: str | Path, base: Path | None = None) -> Board:
    """A board by name, or by the path of its file or folder relative to `base`. Raises Problems."""
    text, path = str(name_or_path), board_path(name_or_path, base)
    if not is_path(text) and not path.exists():
        what = f"there is no board named '{text}'"
        raise Problems([Problem(path, None, "", what, closest(text, list_boards(), "boards"))])
    source = Source.read(path, "board file")
    board = source.parse(Board)
    problems = list(check_board(board, source))
    if problems:
        raise Problems(problems)
    return board
