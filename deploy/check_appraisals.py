"""Whether CSVs of appraised stones are good enough to train on: says in Markdown what is refused, and why.

    python deploy/check_appraisals.py [--since COMMIT] [--most 0.01] [--refused FILE]

The exit status is 1 where a file cannot be used at all, or more than a share of its rows is refused. Only files that
changed since the commit are judged; without one, or where it is not known, all are.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from diamonds.errors import DataError
from diamonds.pipelines.data_engineering.nodes import check_rows, read_files

FOLDER = Path("data/01_raw/appraisals")
#: More rows are not shown; the file has all.
MOST_SHOWN = 20


def main() -> None:
    """Check, report, and end with 1 where something is bad."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--since", default="", help="a git commit")
    asked.add_argument("--most", type=float, default=0.01, help="the share of a file's rows that may be refused")
    asked.add_argument("--refused", type=Path, help="a file to write all refused rows to")
    given = asked.parse_args()
    csvs = changed(given.since)
    if not csvs:
        say("No CSV was added or changed.")
        return
    try:
        rows, files = read_files({path.name: path.read_bytes() for path in csvs})
    except DataError as error:
        say(f"**The CSVs cannot be used**: {error}")
        sys.exit(1)
    _, refused = check_rows(rows)
    if given.refused is not None:
        given.refused.parent.mkdir(parents=True, exist_ok=True)
        refused.to_csv(given.refused, index=False)
    sys.exit(report(files, refused, given.most))


def changed(commit: str) -> list[Path]:
    """The CSVs that were added or changed since a commit; all where that is not known."""
    every = sorted(path for path in FOLDER.iterdir() if path.suffix.casefold() == ".csv")
    done = subprocess.run(  # noqa: S603 - the words are ours, and what follows -- is no option
        ["git", "diff", "--name-only", "--diff-filter=AMR", "--end-of-options", commit, "HEAD", "--", FOLDER],  # noqa: S607
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if not commit or done.returncode != 0:
        return every
    names = {Path(line).name for line in done.stdout.splitlines()}
    return [path for path in every if path.name in names]


def report(files: list[dict[str, Any]], refused: pd.DataFrame, most: float) -> int:
    """Print how many rows of each file are refused, and the first of them; answers the exit status."""
    count = refused.groupby("file").size()
    bad = {file["name"] for file in files if count.get(file["name"], 0) > most * file["rows"]}
    say("| file | rows | refused |  |\n| --- | --: | --: | --- |")
    for file in files:
        remark = f"more than {most:.0%}" if file["name"] in bad else ""
        say(f"| {file['name']} | {file['rows']:,} | {count.get(file['name'], 0):,} | {remark} |")
    if len(refused):
        say("\n| file | line | why |\n| --- | --: | --- |")
    for row in refused.head(MOST_SHOWN).itertuples():
        say(f"| {row.file} | {row.line} | {str(row.reason).replace('|', '&#124;')} |")
    if len(refused) > MOST_SHOWN:
        say(f"\n{len(refused) - MOST_SHOWN:,} more are refused.")
    return int(bool(bad))


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
