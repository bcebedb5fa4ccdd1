"""What an image of finnmake is made from, and what is in it. Standard library only.

The Dockerfile runs this while it builds, to write `/opt/finnmake/image.json`; on the host finnmake takes
`digests` from this same file. So both sides compute the same, over a folder that has the project's layout.

    describe.py FOLDER BASE    prints the description as canonical JSON
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

#: The files that the image copies, besides the lock file. `dockerfile` is the digest of them all.
FILES = ("Dockerfile", "docker/describe.py", "docker/doit", "docker/entrypoint.sh")


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of `requirements.lock`, and one over the names and contents of `FILES`. Raises OSError."""
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    return {
        "requirements": hashlib.sha256((folder / "requirements.lock").read_bytes()).hexdigest(),
        "dockerfile": hashlib.sha256(canonical(files)).hexdigest(),
    }


def system_packages() -> dict[str, str]:
    """The Debian packages that are installed, with their versions."""
    listing = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${binary:Package}\\t${Version}\\n"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    return dict(line.split("\t", 1) for line in listing.splitlines())


def canonical(value: object) -> bytes:
    """The one spelling of a JSON value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def main() -> None:
    """Print the description of the image that this runs in."""
    folder, base = sys.argv[1:]
    description = {"base": base, **digests(Path(folder)), "system": system_packages()}
    sys.stdout.buffer.write(canonical(description) + b"\n")


if __name__ == "__main__":
    main()
