"""A page as PDF, printed by the browser that is here."""

import os
import shutil
import subprocess
from pathlib import Path

from harness.errors import MissingExtra, WorkspaceError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "microsoft-edge")
_TIMEOUT_S = 120


def save_pdf(page: Path) -> Path:
    """`index.pdf` beside `index.html`; the file written.

    Raises:
        MissingExtra: there is no browser that prints.
        WorkspaceError: it printed nothing.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise MissingExtra(f"--pdf needs a browser that prints: {' or '.join(BROWSERS[:3])}")
    path = page.with_suffix(".pdf")
    printed = path.with_suffix(".pdf.tmp")
    printed.unlink(missing_ok=True)
    command = [browser, "--headless", "--disable-gpu", "--no-pdf-header-footer"]
    if os.geteuid() == 0:  # as in a container: Chromium's sandbox refuses root
        command.append("--no-sandbox")
    command += [f"--print-to-pdf={printed.absolute()}", page.absolute().as_uri()]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise WorkspaceError(f"{browser} printed {page} for {_TIMEOUT_S} s, to no end") from error
    if not printed.exists():
        last_line = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise WorkspaceError(f"{browser} did not print {page}: {''.join(last_line)}")
    return printed.replace(path)
