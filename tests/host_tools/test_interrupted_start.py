"""Ctrl-C while the command is still being loaded."""

import subprocess
import sys

# In the place of a person who is quick: the import of satama.cli is where the interrupt comes.
PROGRAM = """
import sys

class Quick:
    def find_spec(self, name, path=None, target=None):
        if name == "satama.cli":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Quick())
from satama.__main__ import main
main()
"""


def test_it_ends_with_a_sentence():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "") and done.stderr.startswith("stopped -> nothing was done")
    assert len(done.stderr.splitlines()) == 1


def test_the_package_is_the_command():
    done = subprocess.run([sys.executable, "-m", "satama", "--version"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith("satama ")
