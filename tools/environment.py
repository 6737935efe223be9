"""Build the virtual environment the Makefile works in, when it is missing or out of date.

`environment.py DIRECTORY` installs the newest versions pyproject.toml allows, `environment.py
DIRECTORY CONSTRAINTS` those a file of pip constraints names (tools/lines/), and what the tests of
older versions need.

Runs on whatever `python3` a machine has, before anything is installed: standard library only, and
syntax that an old interpreter can read, so that it can say it is too old.
"""

import hashlib
import os
import subprocess
import sys

OLDEST = (3, 10)
EXTRAS = "local,dev,differential,bench"
CONSTRAINED_EXTRAS = "local,dev"  # the newest Postgres saver does not work with older versions
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def refuse(message):
    """Stop with a message that says what to type."""
    sys.stderr.write(message + "\n")
    raise SystemExit(1)


def check_interpreter():
    """Refuse an interpreter that is too old, or without venv and ensurepip (Debian: apart)."""
    if sys.version_info[:2] < OLDEST:
        oldest, this = OLDEST, sys.version_info
        refuse(
            f"Python {oldest[0]}.{oldest[1]} or newer is needed, and {sys.executable} is "
            f"{this[0]}.{this[1]}.\n"
            "Choose another one, for example: make test PYTHON=python3.12"
        )
    try:
        import ensurepip  # noqa: F401 - only its presence matters
        import venv  # noqa: F401
    except ImportError:
        refuse(
            f"{sys.executable} cannot make virtual environments. Install the missing module:\n"
            f"sudo apt-get install {venv_package()}"
        )


def venv_package():
    """Name the Debian package that holds venv for this interpreter."""
    distribution_default = os.path.realpath("/usr/bin/python3")
    if os.path.realpath(sys.executable) == distribution_default:
        return "python3-venv"
    if sys.executable.startswith("/usr/bin/"):
        return f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    return "python3-venv"


def read(path):
    """Return the text of a file, or nothing when there is none."""
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return None


def write(path, text):
    """Write a stamp."""
    with open(path, "w") as file:
        file.write(text)


def interpreter_stamp(directory):
    """Tell what the environment in a directory was made with.

    base_prefix, not executable: inside an activated environment `python3` is that one's own. The
    directory belongs to it because scripts in bin/ carry it: a copied tree must rebuild.
    """
    return f"{sys.version}\n{sys.base_prefix}\n{os.path.abspath(directory)}\n"


def requirement(constraints):
    """Give pip's arguments for this project and what its tests need."""
    if constraints is None:
        return ["--editable", f"{ROOT}[{EXTRAS}]"]
    return ["--editable", f"{ROOT}[{CONSTRAINED_EXTRAS}]", "--constraint", constraints]


def installed_stamp(constraints):
    """Tell what has to be installed."""
    digest = hashlib.sha256((EXTRAS + CONSTRAINED_EXTRAS).encode())
    for path in [os.path.join(ROOT, "pyproject.toml"), constraints]:
        if path is not None:
            with open(path, "rb") as file:
                digest.update(file.read())
    return digest.hexdigest() + "\n"


def main(directory, constraints=None):
    """Create the environment when the interpreter changed, install when what to install changed."""
    check_interpreter()
    python = os.path.join(directory, "bin", "python")
    interpreter_file = os.path.join(directory, ".interpreter")
    installed_file = os.path.join(directory, ".installed")

    interpreter = interpreter_stamp(directory)
    if read(interpreter_file) != interpreter or not os.path.exists(python):
        sys.stderr.write(f"Making {directory} with Python {sys.version.split()[0]}\n")
        subprocess.check_call([sys.executable, "-m", "venv", "--clear", directory])
        write(interpreter_file, interpreter)

    wanted = installed_stamp(constraints)
    if read(installed_file) != wanted:
        sys.stderr.write(f"Installing into {directory} (once; a few minutes)\n")
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.check_call([*pip, *requirement(constraints)])
        write(installed_file, wanted)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:3])
    except subprocess.CalledProcessError as error:
        refuse("Failed: " + " ".join(error.cmd))
