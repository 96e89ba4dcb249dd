"""Replays the corpora of recorded TensorFlow runs, keeps the score: `python -m tests.corpus.score [--write | --check] [PART...]`.

The corpora lie beside the checkout, in `../shared/corpus` (or where $MGJAX_CORPUS says), with the scripts that replay them.
`results.json` holds what passed when it was last written, which COVERAGE.md shows; `--check` fails where a part has become
worse than that, and so does a case that passed then and does not pass now. `tfops-sample` is a part of `tfops`, for a quick check.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("MGJAX_CORPUS", ROOT.parent / "shared" / "corpus"))
RESULTS = Path(__file__).with_name("results.json")

FIRST_FAMILIES = "basics,dense,nets,transformers"
#: The parts: the replay script, and its arguments.
PARTS: dict[str, list[str]] = {
    "zoo": ["replay_cases.py", "zoo", "--family", FIRST_FAMILIES],
    "zoo-other": ["replay_cases.py", "zoo", "--family", "algebra,control,devices,packages,pipelines,rnn,savedmodels"],
    "wild": ["replay_cases.py", "wild"],
    "tfops-sample": ["tfops/replay.py", "tfops", "--sample", "3", "--timeout", "60"],
    "tfops": ["tfops/replay.py", "tfops", "--timeout", "60"],
}
CHECKED = ("zoo", "wild", "tfops-sample")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; by default {', '.join(CHECKED)}"
    )
    parser.add_argument("--write", action="store_true", help="keep the score in results.json")
    parser.add_argument(
        "--check", action="store_true", help="exit status 1 where something is worse than results.json says"
    )
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    if not CORPUS.is_dir():
        print(f"there is no corpus at {CORPUS}: nothing to replay")
        return 0
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    worse = []
    for part in args.parts or CHECKED:
        found = replay(part, args.jobs)
        print(f"{part}: {found['pass']} of {found['total']} pass ({describe(found)})", flush=True)
        if args.check:
            worse += [f"{part}: {text}" for text in losses(kept.get(part), found)]
        if args.write:
            kept[part] = found
            RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
    for text in worse:
        print(f"worse than recorded: {text}")
    return 1 if worse else 0


def replay(part: str, jobs: int) -> dict[str, Any]:
    """The score of one part: how many pass, and of each case that does not, why (of `tfops` how many, by file and test)."""
    script, *arguments = PARTS[part]
    environment = dict(os.environ, PYTHONPATH=str(ROOT), JAX_PLATFORMS="cpu", TF_CPP_MIN_LOG_LEVEL="3")
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        command = [sys.executable, script, *arguments, "--jobs", str(jobs)]
        command += (
            ["--json", out]
            if script == "replay_cases.py"
            else ["--backend", "tests.corpus.tfops_backend:run", "--out", out]
        )
        done = subprocess.run(command, cwd=CORPUS, env=environment, stdout=subprocess.PIPE, text=True)
        if not os.path.exists(out):
            sys.exit(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stdout}")
        return _cases(out) if script == "replay_cases.py" else _records(out)


def _cases(path: str) -> dict[str, Any]:
    results = json.loads(Path(path).read_text())
    verdicts = Counter(result["status"] for result in results.values())
    failing = {
        Path(key).name: f"{r['status']}: {r['what']}"[:200] for key, r in results.items() if r["status"] != "pass"
    }
    return _score(verdicts) | {"not passing": dict(sorted(failing.items()))}


def _records(folder: str) -> dict[str, Any]:
    summary = json.loads((Path(folder) / "summary.json").read_text())
    lines = (Path(folder) / "results.tsv").read_text().splitlines()
    failing = groups(line.split("\t") for line in lines[1:])
    return _score(Counter(summary["verdicts"])) | {"by class": summary["by_class"], "groups": failing}


def groups(records: Iterable[Sequence[str]]) -> dict[str, dict[str, str]]:
    """The records that do not pass, by test file, then by test: which verdicts, and how often.

    A record is (suite, file, id, class, verdict, seconds, test, ...); a test's parameters do not count as part of its name.
    """
    counts: dict[str, dict[str, Counter]] = {}
    for suite, file, _, kind, verdict, _, test, *_ in records:
        if verdict != "pass":
            name = re.split(r"__shape|\s*\(", test)[0]
            counts.setdefault(f"{suite} {file}", {}).setdefault(name, Counter())[f"{kind} {verdict}"] += 1
    return {
        file: {
            name: ", ".join(f"{what} {n}" for what, n in sorted(found.items())) for name, found in sorted(tests.items())
        }
        for file, tests in sorted(counts.items())
    }


def _score(verdicts: Counter) -> dict[str, Any]:
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {
        "date": date,
        "total": verdicts.total(),
        "pass": verdicts["pass"],
        "verdicts": dict(sorted(verdicts.items())),
    }


def describe(found: dict[str, Any]) -> str:
    return ", ".join(f"{verdict} {count}" for verdict, count in found["verdicts"].items())


def losses(kept: dict[str, Any] | None, found: dict[str, Any]) -> list[str]:
    """What passed when `kept` was written and does not pass now."""
    if kept is None:
        return ["results.json has no such part"]
    lost = [
        f"{name} ({why})"
        for name, why in found.get("not passing", {}).items()
        if name not in kept.get("not passing", {})
    ]
    if found["pass"] < kept["pass"]:
        lost.append(f"{found['pass']} pass, {kept['pass']} did on {kept['date']}")
    return lost


if __name__ == "__main__":
    sys.exit(main())
