"""The one entry: makes ``.venv`` on first use from the pinned lock files, then passes the words on."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "installed-locks"
LOCKS = {ROOT / "requirements.lock": [], ROOT / "requirements-nodeps.lock": ["--no-deps"]}
IMPORT_ROOTS = (ROOT / "MetaAffineReg", ROOT / "MetaAffineRegTraining")
RINGS = ("core", "house", "mrml", "panel")
COMMANDS = {
    "demo": [str(ROOT / "Testing" / "Demo" / "demo.py")],
    "panel": [str(ROOT / "Testing" / "Demo" / "panel.py")],
    "test": ["-m", "pytest"],
    "register": ["-m", "MetaAffineRegCLI.register"],
    "batch": ["-m", "MetaAffineRegCLI.batch"],
    "slicer-batch": [str(ROOT / "MetaAffineReg" / "Scripts" / "register_batch.py")],
    "slicer-train": [str(ROOT / "MetaAffineRegTraining" / "Scripts" / "train_batch.py")],
    "train": ["-m", "MetaAffineRegTrainingCLI.train"],
    "benchmark": [str(ROOT / "Testing" / "Benchmarks" / "benchmark.py")],
}
USAGE = """usage: python3 run.py WORD [words ...]

demo          register a real head image against a known truth, Slicer not needed
panel         open the panel of the Slicer module on a screen, Slicer not needed
test          run the tests; name rings to run only these: core, house, mrml, panel
register      register one image file to another
batch         register the pairs of a table
slicer-batch  register the pairs of a table or of a Slicer scene, with a page to check them, and write a scene
slicer-train  train a model on volumes, files or scenes, and judge it against the shipped one
train         train an initializer
benchmark     measure quality and speed

python3 run.py WORD --help tells more about all but test."""


class LinkedEnvironment(Exception):
    """``.venv`` is a symbolic link to an environment that does not hold what the lock files say."""


def main(words: list[str]) -> int:
    """Exit code: that of the command; 2 for a word, a Python or a link that can't be used, 1 or 130 where it was not set up."""
    if not (3, 11) <= sys.version_info < (3, 14):  # slicer-core of the lock file has no build for Python 3.14
        print("MetaAffineReg needs Python 3.11, 3.12 or 3.13; this is " + sys.version.split()[0] + ".", file=sys.stderr)
        return 2
    if not words or words[0] not in COMMANDS:
        wanted = words[:1] in (["-h"], ["--help"])
        print(USAGE, file=sys.stdout if wanted else sys.stderr)
        return 0 if wanted else 2
    try:
        set_up()
    except LinkedEnvironment:
        print(
            f"{VENV} is a symbolic link to an environment that does not fit the lock files, and is not cleared; remove the link.",
            file=sys.stderr,
        )
        return 2
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"The environment in .venv could not be made ({error}); start again to repair it.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; the next start begins the set-up anew.", file=sys.stderr)
        return 130
    given = words[1:]
    if words[0] == "test":
        os.chdir(ROOT)
        given = test_words(given)
    return pass_on([str(PYTHON), *COMMANDS[words[0]], *given])


def set_up() -> None:
    """Make ``.venv`` unless it holds what the lock files say; raises OSError or CalledProcessError, and LinkedEnvironment for a link.

    The stamp is written last: a set-up that was interrupted has none and is done again from nothing.
    """
    wanted = hashlib.sha256(b"\0".join(lock.read_bytes() for lock in LOCKS)).hexdigest()
    if PYTHON.exists() and STAMP.is_file() and STAMP.read_text() == wanted:
        return
    if VENV.is_symlink():  # clearing it would empty a folder that is not ours
        raise LinkedEnvironment
    print("Setting up .venv; the first time this takes some minutes.", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True, stdout=sys.stderr)
    install = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    for lock, options in LOCKS.items():
        subprocess.run([*install, *options, "--requirement", str(lock)], check=True, stdout=sys.stderr)
    STAMP.write_text(wanted)


def test_words(words: list[str]) -> list[str]:
    """Names of rings as their folders; all rings where none is named."""
    rings = [word for word in words if word in RINGS]
    others = [word for word in words if word not in RINGS]
    return [*others, *(f"Testing/{ring}" for ring in rings)]


def pass_on(command: list[str]) -> int:
    """Run a command in this process's place, so that signals and exit codes are its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, IMPORT_ROOTS))}
    if os.name == "posix":
        os.execve(command[0], command, environment)
    process = subprocess.Popen(command, env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the command got it too and says what becomes of it
            continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
