"""Part `regressions`: how exact they are beside other ways to sum, how often watching deceives, when verdicts come."""

import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import statsmodels.api as sm
from numpy.typing import NDArray

from benchmarks.streaming.exact import ExactFit
from benchmarks.traffic.findings import Findings
from diamonds.streams.feeding.generators import CHAIN, PROCESSES, employees
from diamonds.streams.learners.moments import MomentsLearner
from diamonds.streams.science.inference import Slope
from diamonds.streams.science.regressions import Names

Array = NDArray[np.float64]
Columns = tuple[Array, Array, NDArray[np.bool_]]

NAMES = Names("network_ability", "competence", "promoted")
#: What is added to standard normals, and what they are multiplied by before: for the feature and for the target.
SCALES = {
    "unit": ((0, 1), (0, 1)),
    "50 ± 15 and 0.5 ± 0.1": ((50, 15), (0.5, 0.1)),
    "1e6 ± 1": ((1e6, 1), (1e6, 1)),
    "1e8 ± 1": ((1e8, 1), (1e8, 1)),
}
#: The unit of the figures of precision: a relative error of about the last digit of a float.
UNIT = 1e-16
#: Standard errors to each side of an ordinary 95 % interval.
ORDINARY = 1.96
PAGE = 10


def measure(*, quick: bool) -> Findings:
    """Compare with exact fits, and watch seeded streams whose truth is known."""
    findings = Findings("regressions")
    precision(findings, rows=2_000 if quick else 20_000)
    false_alarms(findings, streams=60 if quick else 400, rows=1_000 if quick else 5_000)
    verdicts(findings, streams=60 if quick else 300, rows=2_000 if quick else 10_000)
    cost(findings, rows=20_000 if quick else 200_000)
    wrong = [f"{each.what} is {each.value:g} {each.unit}" for each in findings.figures if each.is_reached is False]
    findings.blame("bars", [each for each in wrong if "µs" not in each])
    return findings


def precision(findings: Findings, rows: int) -> None:
    """The greatest relative error of the slopes by each way to have them, and of all our statistics."""
    ways: dict[str, Callable[[Columns], list[float]]] = {
        "ours": ours,
        "statsmodels": by_statsmodels,
        "statsmodels, QR": by_qr,
        "Welford": by_welford,
        "raw X'X": by_raw_sums,
    }
    findings.remarks.append(f"greatest relative error of four slopes, {rows:,} rows, beside a fit without rounding:")
    findings.remarks.append(f"{'':24}" + "".join(f"{way:>17}" for way in ways))
    for scale in SCALES:
        print(f"  precision, {scale}", file=sys.stderr)
        columns = drawn(scale, rows)
        exact = exact_fits(columns)
        truth = [float(fit.coefficients[1]) for fit in exact]
        errors = {way: worst(slopes(columns), truth) for way, slopes in ways.items()}
        findings.remarks.append(f"{scale:24}" + "".join(f"{error:17.1e}" for error in errors.values()))
        all_of_them, robust = our_errors(columns, exact)
        findings.add(f"{scale}: error of our slopes", errors["ours"] / UNIT, "e-16", most=1e-12 / UNIT)
        findings.add(
            f"{scale}: greatest of coef, SE, t, R², F, sigma, VIF", all_of_them / UNIT, "e-16", most=1e-12 / UNIT
        )
        findings.add(f"{scale}: greatest of robust SE and Jarque-Bera", robust / UNIT, "e-16", most=1e-10 / UNIT)


def drawn(scale: str, rows: int) -> Columns:
    """Feature, target and group, related in all ways."""
    (x_offset, x_scale), (y_offset, y_scale) = SCALES[scale]
    x, noise, more = np.random.default_rng(7).standard_normal((3, rows))
    g = 0.8 * x + more > 0.3
    y = 0.4 * x - 0.9 * g + 0.3 * x * g + noise * (1 + 0.3 * g)
    return x_offset + x_scale * x, y_offset + y_scale * y, g


def designs(columns: Columns) -> list[tuple[Array, list[Array]]]:
    """Target and columns: overall, inside the groups, in the group, in the others."""
    x, y, g = columns
    return [(y, [x]), (y, [x, g.astype(float)]), (y[g], [x[g]]), (y[~g], [x[~g]])]


def exact_fits(columns: Columns) -> list[ExactFit]:
    """Those of all four, without rounding."""
    return [ExactFit(y.tolist(), [each.tolist() for each in design]) for y, design in designs(columns)]


def worst(found: list[float], truth: list[float]) -> float:
    """The greatest relative error."""
    pairs = zip(found, truth, strict=True)
    return max(abs(one - other) / abs(other) if other else abs(one) for one, other in pairs)


def taught(columns: Columns) -> MomentsLearner:
    """Our learner, row by row."""
    learned = MomentsLearner(NAMES)
    for x, y, g in zip(*(column.tolist() for column in columns), strict=True):
        learned.learn({NAMES.feature: x, NAMES.target: y, NAMES.group: g})
    return learned


def our_regressions(learned: MomentsLearner) -> list[Any]:
    """In the order of `designs`."""
    fitted = learned.regressions()
    return [fitted.overall, fitted.pooled, fitted.inside, fitted.outside]


def ours(columns: Columns) -> list[float]:
    """By sums in double-double."""
    return [each.slope(NAMES.feature).estimate for each in our_regressions(taught(columns))]


def our_errors(columns: Columns, exact: list[ExactFit]) -> tuple[float, float]:
    """The greatest error of the statistics of degree 2, and of those of degree 3 and 4."""
    plain, robust = [0.0], [0.0]
    for regression, fit in zip(our_regressions(taught(columns)), exact, strict=True):
        found = regression.summary()
        terms = [found["intercept"], *found["terms"]]
        plain += [worst([found[name]], [getattr(fit, name)]) for name in ("r2", "adjusted_r2", "f", "sigma")]
        plain.append(worst([each["estimate"] for each in terms], [float(each) for each in fit.coefficients]))
        plain.append(worst([each["se"] for each in terms], fit.errors))
        plain.append(worst([each["t"] for each in terms], fit.ratios))
        plain.append(worst([each["vif"] for each in terms[1:]], fit.inflation))
        robust.append(worst([each["se_robust"] for each in terms], fit.robust_errors))
        robust.append(worst([regression.jarque_bera()["statistic"]], [fit.jarque_bera]))
    return max(plain), max(robust)


def by_statsmodels(columns: Columns, method: str = "pinv") -> list[float]:
    """By the default of statsmodels on all rows at once."""
    models = [sm.OLS(y, sm.add_constant(np.column_stack(design))) for y, design in designs(columns)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the columns are too alike for it shows in the error
        return [float(model.fit(method=method).params[1]) for model in models]


def by_qr(columns: Columns) -> list[float]:
    """By statsmodels and QR; infinite where that gives up."""
    try:
        return by_statsmodels(columns, "qr")
    except np.linalg.LinAlgError:
        return [math.inf] * len(designs(columns))


def by_welford(columns: Columns) -> list[float]:
    """By means and products updated in floats, row by row, apart for each group, and merged at the end."""
    x, y, g = columns
    groups = [welford(x[chosen].tolist(), y[chosen].tolist()) for chosen in (g, ~g)]
    (n, x_mean, y_mean, xx, xy), (m, x_other, y_other, xx_other, xy_other) = groups
    weight = n * m / (n + m)
    all_xx = xx + xx_other + weight * (x_mean - x_other) ** 2
    all_xy = xy + xy_other + weight * (x_mean - x_other) * (y_mean - y_other)
    return [all_xy / all_xx, (xy + xy_other) / (xx + xx_other), xy / xx, xy_other / xx_other]


def welford(xs: list[float], ys: list[float]) -> tuple[int, float, float, float, float]:
    """Rows, both means, and the sums of x² and x·y about them."""
    rows, x_mean, y_mean, xx, xy = 0, 0.0, 0.0, 0.0, 0.0
    for rows, (x, y) in enumerate(zip(xs, ys, strict=True), 1):
        away = x - x_mean
        x_mean += away / rows
        y_mean += (y - y_mean) / rows
        xx += away * (x - x_mean)
        xy += away * (y - y_mean)
    return rows, x_mean, y_mean, xx, xy


def by_raw_sums(columns: Columns) -> list[float]:
    """By the normal equations on sums of the raw numbers."""
    slopes = []
    for y, design in designs(columns):
        full = np.column_stack([np.ones_like(y), *design])
        slopes.append(float(np.linalg.lstsq(full.T @ full, full.T @ y, rcond=None)[0][1]))
    return slopes


def false_alarms(findings: Findings, streams: int, rows: int) -> None:
    """How many streams without a link overall seem to have one, at any look after a page."""
    alarms = {"watching": 0, "ordinary": 0, "ordinary, only at the end": 0}
    for seed in range(streams):
        told(f"false alarms, stream {seed}", seed)
        looks = list(looked(employees("sum", seed, 0, rows)))
        alarms["watching"] += any(excludes_zero(slope) for slope in looks)
        seen = [abs(slope.estimate) > ORDINARY * slope.se for slope in looks]
        alarms["ordinary"] += any(seen)
        alarms["ordinary, only at the end"] += seen[-1]
    share = {name: 100 * count / streams for name, count in alarms.items()}
    what = f"of {streams} streams of {rows:,} rows looked at after each page, falsely linked"
    findings.add(f"{what}: intervals for watching", share["watching"], "%", most=5)
    findings.add(f"{what}: ordinary intervals", share["ordinary"], "%")
    findings.add(f"{what}: ordinary intervals, only at the end", share["ordinary, only at the end"], "%")


def looked(rows: list[dict[str, Any]]) -> Iterator[Slope]:
    """The slope overall after each page."""
    learned = MomentsLearner(NAMES)
    for position, row in enumerate(rows, 1):
        learned.learn(row)
        if position % PAGE == 0 and (slope := learned.regressions().overall.slope(NAMES.feature)):
            yield slope


def excludes_zero(slope: Slope) -> bool:
    """Whether the interval for watching does; where there is none yet it does not."""
    low, high = slope.interval() or (-1.0, 1.0)
    return low > 0 or high < 0


def verdicts(findings: Findings, streams: int, rows: int) -> None:
    """When colliders are called so, and whether chains ever are."""
    first = sorted(reached("sum", seed, 1_000).get("collider", 10**9) for seed in range(streams))
    by_1000 = 100 * sum(row <= 1_000 for row in first) / streams
    findings.add(f"of {streams} sum streams, collider by 1,000 rows", by_1000, "%", least=95)
    findings.add("half of them by", first[streams // 2], "rows")
    chains = []
    for seed in range(streams):
        told(f"chains, stream {seed}", seed)
        chains.append(reached(CHAIN, seed, rows))
    findings.add(f"of {streams} chains, ever called a collider in {rows:,} rows", count(chains, "collider"), most=0)
    findings.add("of them, chain or fork at some time", 100 * count(chains, "chain or fork") / streams, "%")
    falsely = 100 * count(chains, "linked inside the groups") / streams
    findings.add("of them, ever falsely linked inside the groups", falsely, "%")
    for process in PROCESSES:
        found = [reached(process, seed, rows) for seed in range(20)]
        findings.add(f"{process}: of 20 streams, collider within {rows:,} rows", count(found, "collider"))


def reached(process: str, seed: int, rows: int) -> dict[str, int]:
    """By conclusion, the number of rows at which it was first reached."""
    learned = MomentsLearner(NAMES)
    for row in employees(process, seed, 0, rows):
        learned.learn(row)
    return {each["conclusion"]: each["row"] for each in learned.dump()["reached"]}


def count(found: list[dict[str, int]], conclusion: str) -> int:
    """In how many streams it was reached."""
    return sum(conclusion in each for each in found)


def cost(findings: Findings, rows: int) -> None:
    """What a row costs, and a report."""
    stream = employees("sum", 1, 0, rows)
    learned = MomentsLearner(NAMES)
    began = time.perf_counter()
    for row in stream:
        learned.learn(row)
    findings.add(f"to learn, of {rows:,} rows", (time.perf_counter() - began) / rows * 1e6, "µs a row", most=12)
    findings.add("to report", min(seconds(learned.report) for _ in range(20)) * 1e3, "ms")


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def told(what: str, number: int) -> None:
    """Say now and then where one is."""
    if number % 100 == 0:
        print(f"  {what}", file=sys.stderr)
