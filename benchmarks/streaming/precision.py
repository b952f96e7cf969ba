"""How exact the statistics of regressions are: beside statsmodels, other ways to sum, and fits without rounding."""

import math
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.outliers_influence import variance_inflation_factor
from statsmodels.stats.stattools import jarque_bera

from benchmarks.streaming.exact import ExactFit
from benchmarks.traffic.findings import Findings
from diamonds.streams.learners.moments import MomentsLearner
from diamonds.streams.science.inference import Regression
from diamonds.streams.science.regressions import Names

Array = NDArray[np.float64]
Columns = tuple[Array, Array, NDArray[np.bool_]]
Design = tuple[Array, list[Array]]
#: Statistics by name, those of each coefficient in the order of the columns.
Statistics = dict[str, list[float]]

NAMES = Names("network_ability", "competence", "promoted")
#: What is added to standard normals, and what they are multiplied by before: for the feature and for the target.
SCALES = {
    "unit": ((0, 1), (0, 1)),
    "50 ± 15 and 0.5 ± 0.1": ((50, 15), (0.5, 0.1)),
    "0 ± 1e3 and 2e3 ± 1e3": ((0, 1e3), (2e3, 1e3)),
    "0 ± 1e6 and 1e6 ± 1e6": ((0, 1e6), (1e6, 1e6)),
    "1e6 ± 1": ((1e6, 1), (1e6, 1)),
    "1e8 ± 1": ((1e8, 1), (1e8, 1)),
}
#: The unit of the figures: a relative error of about the last digit of a float.
UNIT = 1e-16
#: The greatest relative error that is allowed.
MOST = 1e-12
#: Those of the six regressions that have a slope by each way to sum.
SLOPES = (0, 2, 3, 4)


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
        exact = [ExactFit(target.tolist(), [each.tolist() for each in design]) for target, design in designs(columns)]
        truth = [float(exact[place].coefficients[1]) for place in SLOPES]
        errors = {way: worst(slopes(columns), truth) for way, slopes in ways.items()}
        findings.remarks.append(f"{scale:24}" + "".join(f"{error:17.1e}" for error in errors.values()))
        findings.add(f"{scale}: error of our slopes", errors["ours"] / UNIT, "e-16", most=MOST / UNIT)
        compare(findings, scale, columns, exact)


def compare(findings: Findings, scale: str, columns: Columns, exact: list[ExactFit]) -> None:
    """All statistics of all six regressions, beside fits without rounding and beside statsmodels."""
    beside_exact, beside_theirs, theirs_off = [0.0], [0.0], set()
    for regression, design, fit in zip(taught(columns).regressions(), designs(columns), exact, strict=True):
        found, truth, theirs = of_ours(regression), of_exact(fit), of_statsmodels(*design)
        beside_exact += [gap for _, gap in gaps(found, truth, truth)]
        off = {name for name, gap in gaps(theirs, truth, truth) if gap > MOST / 2}
        beside_theirs += [gap for name, gap in gaps(found, theirs, truth) if name not in off]
        theirs_off |= off
    what = f"{scale}: all statistics of six regressions, greatest error"
    findings.add(what, max(beside_exact) / UNIT, "e-16", most=MOST / UNIT)
    findings.add("and beside statsmodels, where that is exact", max(beside_theirs) / UNIT, "e-16", most=MOST / UNIT)
    if theirs_off:
        findings.remarks.append(
            f"{scale}: off by more than {MOST / 2:g} by statsmodels: {', '.join(sorted(theirs_off))}"
        )


def gaps(found: Statistics, other: Statistics, truth: Statistics) -> Iterator[tuple[str, float]]:
    """The greatest relative error of each statistic.

    A p-value is exp(-t²/2) or so: it is off by t² times as much as its t. The end of an interval may lie near 0: it is
    off by so much of the standard error.
    """
    for name, ours_ in found.items():
        sizes = np.abs(other[name])
        if name in {"low", "high"}:
            sizes = np.maximum(sizes, truth["se"])
        allowed = {"p": np.square(truth["t"]), "f_p": np.array(truth["f"])}.get(name, np.ones(1))
        differences = np.abs(np.subtract(ours_, other[name])) / np.maximum(allowed, 1)
        yield name, float(np.max(np.divide(differences, sizes, out=differences, where=sizes > 0)))


def of_ours(regression: Regression) -> Statistics:
    """As the learner tells them."""
    found = regression.summary()
    terms = [found["intercept"], *found["terms"]]
    of_terms = ("estimate", "se", "t", "p", "low", "high", "se_robust")
    of_fit = ("r2", "adjusted_r2", "f", "f_p", "sigma", "log_likelihood", "aic", "bic")
    return (
        {name: [term[name] for term in terms] for name in of_terms}
        | {name: [found[name]] for name in of_fit}
        | {"vif": [term["vif"] for term in terms[1:]], "jarque_bera": [regression.jarque_bera()["statistic"] or 0.0]}
    )


def of_exact(fit: ExactFit) -> Statistics:
    """Without rounding before the last step."""
    estimates, errors, ratios = [float(each) for each in fit.coefficients], np.array(fit.errors), np.array(fit.ratios)
    half, parameters = stats.t.ppf(0.975, fit.degrees) * errors, len(estimates)
    likelihood = -fit.rows / 2 * (math.log(2 * math.pi) + math.log(fit.rest / fit.rows) + 1)
    return {
        "estimate": estimates, "se": fit.errors, "t": fit.ratios,
        "p": (2 * stats.t.sf(np.abs(ratios), fit.degrees)).tolist(),
        "low": (estimates - half).tolist(), "high": (estimates + half).tolist(), "se_robust": fit.robust_errors,
        "r2": [fit.r2], "adjusted_r2": [fit.adjusted_r2], "f": [fit.f],
        "f_p": [float(stats.f.sf(fit.f, parameters - 1, fit.degrees))], "sigma": [fit.sigma],
        "log_likelihood": [likelihood], "aic": [2 * parameters - 2 * likelihood],
        "bic": [parameters * math.log(fit.rows) - 2 * likelihood],
        "vif": fit.inflation, "jarque_bera": [fit.jarque_bera],
    }  # fmt: skip


def of_statsmodels(target: Array, design: list[Array]) -> Statistics:
    """By QR, which keeps more digits than its default."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the columns are too alike for it shows in the error
        try:
            fit = sm.OLS(target, sm.add_constant(np.column_stack(design))).fit(method="qr")
        except np.linalg.LinAlgError:
            fit = sm.OLS(target, sm.add_constant(np.column_stack(design))).fit()
        low, high = fit.conf_int().T
        inflation = [variance_inflation_factor(fit.model.exog, place) for place in range(1, len(fit.params))]
        return {
            "estimate": fit.params, "se": fit.bse, "t": fit.tvalues, "p": fit.pvalues, "low": low, "high": high,
            "se_robust": fit.HC0_se, "r2": [fit.rsquared], "adjusted_r2": [fit.rsquared_adj], "f": [fit.fvalue],
            "f_p": [fit.f_pvalue], "sigma": [math.sqrt(fit.mse_resid)], "log_likelihood": [fit.llf],
            "aic": [fit.aic], "bic": [fit.bic], "vif": inflation, "jarque_bera": [jarque_bera(fit.resid)[0]],
        }  # fmt: skip


def drawn(scale: str, rows: int) -> Columns:
    """Feature, target and group, related in all ways."""
    (x_offset, x_scale), (y_offset, y_scale) = SCALES[scale]
    x, noise, more = np.random.default_rng(7).standard_normal((3, rows))
    g = 0.8 * x + more > 0.3
    y = 0.4 * x - 0.9 * g + 0.3 * x * g + noise * (1 + 0.3 * g)
    return x_offset + x_scale * x, y_offset + y_scale * y, g


def designs(columns: Columns) -> list[Design]:
    """Target and columns of the six regressions, in our order."""
    x, y, g = columns
    as_number = g.astype(float)
    return [
        (y, [x]),
        (y, [as_number]),
        (y, [x, as_number]),
        (y[g], [x[g]]),
        (y[~g], [x[~g]]),
        (y, [x, as_number, x * as_number]),
    ]


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


def with_slopes(columns: Columns) -> list[Design]:
    """Those of the regressions that all ways can do."""
    found = designs(columns)
    return [found[place] for place in SLOPES]


def ours(columns: Columns) -> list[float]:
    """By sums in double-double."""
    fitted: list[Any] = list(taught(columns).regressions())
    return [fitted[place].slope(NAMES.feature).estimate for place in SLOPES]


def by_statsmodels(columns: Columns, method: str = "pinv") -> list[float]:
    """By the default of statsmodels on all rows at once."""
    models = [sm.OLS(y, sm.add_constant(np.column_stack(design))) for y, design in with_slopes(columns)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the columns are too alike for it shows in the error
        return [float(model.fit(method=method).params[1]) for model in models]


def by_qr(columns: Columns) -> list[float]:
    """By statsmodels and QR; infinite where that gives up."""
    try:
        return by_statsmodels(columns, "qr")
    except np.linalg.LinAlgError:
        return [math.inf] * len(SLOPES)


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
    for y, design in with_slopes(columns):
        full = np.column_stack([np.ones_like(y), *design])
        slopes.append(float(np.linalg.lstsq(full.T @ full, full.T @ y, rcond=None)[0][1]))
    return slopes
