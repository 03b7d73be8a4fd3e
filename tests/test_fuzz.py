"""The short form of `benchmarks/fuzz.py`: one wrong value in a file or a reply."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_no_wrong_value_in_a_file_or_a_reply_is_believed_or_ends_in_a_traceback() -> None:
    command = [sys.executable, "benchmarks/fuzz.py", "--minutes", "0.05"]
    ended = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["cases"] >= 41, "each reader"
    assert (found["tracebacks"], found["absurd"]) == (0, 0), ended.stdout
