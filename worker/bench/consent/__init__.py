"""What a no costs, how soon it holds, and that nothing is decoded without a yes."""

from typing import Any

from worker.bench.consent import churn, cost, page, withdraw


def run(quick: bool) -> dict[str, Any]:
    """Everything takes about 15 minutes, of which 5 are people who come and go; `quick` two."""
    return {
        "cost": cost.measure(quick),
        "withdraw": withdraw.measure(quick),
        "page": page.measure(quick),
        "churn": churn.measure(1.0 if quick else churn.MINUTES),
    }
