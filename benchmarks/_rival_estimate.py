"""Run inside the rivals' environment: estimate what arrives on standard input, until it ends.

A request is a line of JSON, {"estimator", "shapes": [[n, dim_x], [n, dim_y]], "options"}, followed
by the float64 values of x and of y, row-major. An answer is a line of JSON, {"estimate"} or
{"error"}; before the first request it is {"ready"}.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

DEFAULT_BATCH = 256


def main() -> None:
    """Answer requests; whatever the library prints goes nowhere."""
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - for as long as the process lives
    from bmi.estimators import InfoNCEEstimator, MINEEstimator, NWJEstimator

    classes = {"mine": MINEEstimator, "infonce": InfoNCEEstimator, "nwj": NWJEstimator}
    answers.write(json.dumps({"ready": True}) + "\n")
    for line in requests:
        request = json.loads(line)
        x, y = (_read(requests, shape) for shape in request["shapes"])
        try:
            make = classes[request["estimator"]]
            answer = {"estimate": _estimate(make, x, y, request["options"])}
        except Exception as error:  # noqa: BLE001 - the other side records it
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


def _read(stream: BinaryIO, shape: list[int]) -> np.ndarray:
    count = int(np.prod(shape))
    return np.frombuffer(stream.read(8 * count), np.float64).reshape(shape)


def _estimate(
    make: Callable[..., Any], x: np.ndarray, y: np.ndarray, options: dict[str, Any]
) -> float:
    """Estimate with batches that fit the half of the rows which trains."""
    batch = min(options.pop("batch_size", None) or DEFAULT_BATCH, len(x) // 2)
    estimator = make(batch_size=batch, verbose=False, **options)
    return float(estimator.estimate(x, y))


if __name__ == "__main__":
    main()
