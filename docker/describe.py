"""What an image of finnmake is made from, and what is in it. Standard library only.

The Dockerfile runs this while it builds, to write `/opt/finnmake/image.json`; on the host finnmake takes
`digests` from this same file. So both sides compute the same, over a folder that has the project's layout.

    describe.py FOLDER BASE    prints the description as canonical JSON
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

#: The files that the image copies, besides the lock file. `dockerfile` is the digest of them all.
FILES = ("Dockerfile", "docker/describe.py", "docker/doit", "docker/entrypoint.sh")

#: What dpkg knows of its packages: paragraphs of lines `Field: value`.
STATUS = Path("/var/lib/dpkg/status")


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of `requirements.lock`, and one over the names and contents of `FILES`. Raises OSError."""
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    return {
        "requirements": hashlib.sha256((folder / "requirements.lock").read_bytes()).hexdigest(),
        "dockerfile": hashlib.sha256(canonical(files)).hexdigest(),
    }


def system_packages(status: Path = STATUS) -> dict[str, str]:
    """The Debian packages that are installed, as dpkg names them, and their versions. Raises OSError."""
    packages = {}
    for paragraph in status.read_text(encoding="utf-8", errors="replace").split("\n\n"):
        lines = [line for line in paragraph.splitlines() if ": " in line and not line.startswith(" ")]
        fields = dict(line.split(": ", 1) for line in lines)
        if fields.get("Status", "").endswith(" installed"):
            several = fields.get("Multi-Arch") == "same"
            name = f"{fields['Package']}:{fields['Architecture']}" if several else fields["Package"]
            packages[name] = fields["Version"]
    return packages


def description(folder: Path, base: str, status: Path = STATUS) -> dict[str, object]:
    """The description of an image with these packages, made from `folder` and `base`. Raises OSError."""
    return {"base": base, **digests(folder), "system": system_packages(status)}


def canonical(value: object) -> bytes:
    """The one spelling of a JSON value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def main() -> None:
    """Print the description of the image that this runs in."""
    folder, base = sys.argv[1:]
    sys.stdout.buffer.write(canonical(description(Path(folder), base)) + b"\n")


if __name__ == "__main__":
    main()
