"""One part of the bench alone: `python -m worker.bench.consent churn --minutes 30 --json churn.json`."""

import argparse
import json
from pathlib import Path

from worker.bench.consent import churn, cost, page, withdraw

PARTS = {"cost": cost.measure, "withdraw": withdraw.measure, "page": page.measure}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m worker.bench.consent")
    parser.add_argument("part", choices=[*PARTS, "churn"])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--minutes", type=float, default=churn.MINUTES, help="of churn")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    minutes = 1.0 if given.quick else given.minutes
    found = churn.measure(minutes) if given.part == "churn" else PARTS[given.part](given.quick)
    text = json.dumps(found, indent=2)
    print(text)
    if given.json is not None:
        given.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
