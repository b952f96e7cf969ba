import math
from functools import cache

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.diagnostic import het_breuschpagan, het_white
from statsmodels.stats.outliers_influence import variance_inflation_factor
from statsmodels.stats.stattools import durbin_watson, jarque_bera

from benchmarks.streaming.exact import ExactFit
from diamonds.streams.feeding.generators import PROCESSES, employees
from diamonds.streams.learners.moments import MomentsLearner
from diamonds.streams.science.inference import watching_factor
from diamonds.streams.science.regressions import Names

NAMES = Names("y", "x", "g")
DESIGNS = {
    "~ x": lambda x, g: [x],
    "~ g": lambda x, g: [g],
    "~ x + g": lambda x, g: [x, g],
    "~ x, g only": lambda x, g: [x],
    "~ x, not g": lambda x, g: [x],
    "~ x * g": lambda x, g: [x, g, x * g],
}
#: What is added to standard normals, and what they are multiplied by before: for x and for y.
SCALES = {
    "unit": ((0, 1), (0, 1)),
    "scores": ((50, 15), (0.5, 0.1)),
    "thousands": ((0, 1e3), (2e3, 1e3)),
    "millions": ((0, 1e6), (1e6, 1e6)),
}
FAR = {
    "1e6 ± 1": ((1e6, 1), (1e6, 1)),
    "1e8 ± 1": ((1e8, 1), (1e8, 1)),
    "1e8 ± 1 and 0.5 ± 0.1": ((1e8, 1), (0.5, 0.1)),
}


@cache
def columns(scale, rows=1500):
    (x_offset, x_scale), (y_offset, y_scale) = (SCALES | FAR)[scale]
    random = np.random.default_rng(7)
    x, noise, more = random.standard_normal((3, rows))
    g = 0.8 * x + more > 0.3
    y = 0.4 * x - 0.9 * g + 0.3 * x * g + noise * (1 + 0.3 * g)
    return x_offset + x_scale * x, y_offset + y_scale * y, g


def taught(x, y, g):
    learned = MomentsLearner(NAMES)
    for each_x, each_y, each_g in zip(x.tolist(), y.tolist(), g.tolist(), strict=True):
        learned.learn({"x": each_x, "y": each_y, "g": each_g})
    return learned


@cache
def statistics(scale):
    return taught(*columns(scale)).report()["statistics"]


def table(statistics, name):
    return next(each for each in statistics["regressions"] if each["name"] == name)


def design(scale, name):
    x, y, g = columns(scale)
    chosen = {"~ x, g only": g, "~ x, not g": ~g}.get(name, np.ones_like(g))
    return y[chosen], DESIGNS[name](x[chosen], g[chosen].astype(float))


def terms(found, field):
    return [term[field] for term in (found["intercept"], *found["terms"])]


def gap(ours, theirs):
    ours, theirs = np.atleast_1d(ours, theirs)
    assert (ours[theirs == 0] == 0).all()
    return np.max(np.abs(ours - theirs)[theirs != 0] / np.abs(theirs[theirs != 0]), initial=0)


def by_statsmodels(target, design):
    """By QR: the pseudoinverse, statsmodels' default, loses up to seven digits where columns differ in scale."""
    fit = sm.OLS(target, sm.add_constant(np.column_stack(design))).fit(method="qr")
    low, high = fit.conf_int().T
    return fit, {
        "estimate": fit.params, "se": fit.bse, "t": fit.tvalues, "low": low, "high": high,
    }, {
        "r2": fit.rsquared, "adjusted_r2": fit.rsquared_adj, "f": fit.fvalue, "sigma": math.sqrt(fit.mse_resid),
        "log_likelihood": fit.llf, "aic": fit.aic, "bic": fit.bic,
    }  # fmt: skip


def by_fractions(target, design):
    fit = ExactFit(target.tolist(), [column.tolist() for column in design])
    half = stats.t.ppf(0.975, fit.degrees) * np.array(fit.errors)
    estimates = np.array([float(each) for each in fit.coefficients])
    likelihood = -fit.rows / 2 * (math.log(2 * math.pi) + math.log(fit.rest / fit.rows) + 1)
    parameters = len(estimates)
    return fit, {
        "estimate": estimates, "se": fit.errors, "t": fit.ratios, "low": estimates - half, "high": estimates + half,
        "p": 2 * stats.t.sf(np.abs(fit.ratios), fit.degrees),
    }, {
        "r2": fit.r2, "adjusted_r2": fit.adjusted_r2, "f": fit.f, "sigma": fit.sigma,
        "f_p": stats.f.sf(fit.f, parameters - 1, fit.degrees), "log_likelihood": likelihood,
        "aic": 2 * parameters - 2 * likelihood, "bic": parameters * math.log(fit.rows) - 2 * likelihood,
    }  # fmt: skip


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", DESIGNS)
def test_every_statistic_is_that_of_statsmodels_to_12_digits(scale, name):
    found = table(statistics(scale), name)
    target, columns = design(scale, name)
    fit, of_terms, of_fit = by_statsmodels(target, columns)

    gaps = {field: gap(terms(found, field), theirs) for field, theirs in of_terms.items()}
    gaps |= {field: gap(found[field], theirs) for field, theirs in of_fit.items()}

    assert max(gaps.values()) < 1e-12, gaps
    # A p value is exp(-t²/2) or so: it has t² times the gap of its t.
    assert gap(terms(found, "p"), fit.pvalues) < 1e-14 * max(100, *fit.tvalues**2)
    assert gap(found["f_p"], fit.f_pvalue) < 1e-14 * max(100, fit.fvalue)
    factors = [variance_inflation_factor(fit.model.exog, i) for i in range(1, len(fit.params))]
    assert gap(terms(found, "vif")[1:], factors) < 1e-12
    assert gap(list(statistics(scale)["jarque_bera"][name].values()), jarque_bera(fit.resid)) < 1e-10
    # These go by the pseudoinverse all the same.
    assert gap(terms(found, "se_robust"), fit.HC0_se) < max(1e-10, 1e-16 * fit.condition_number)


@pytest.mark.parametrize("scale", [*SCALES, *FAR])
@pytest.mark.parametrize("name", DESIGNS)
def test_every_statistic_is_that_of_a_fit_without_rounding_to_12_digits(scale, name):
    found = table(statistics(scale), name)
    fit, of_terms, of_fit = by_fractions(*design(scale, name))

    gaps = {field: gap(terms(found, field), theirs) for field, theirs in of_terms.items()}
    gaps |= {field: gap(found[field], theirs) for field, theirs in of_fit.items()}
    gaps["vif"] = gap(terms(found, "vif")[1:], fit.inflation)
    gaps["se_robust"] = gap(terms(found, "se_robust"), fit.robust_errors)
    gaps["jarque_bera"] = gap(statistics(scale)["jarque_bera"][name]["statistic"], fit.jarque_bera)

    assert max(gaps.values()) < 1e-12, gaps


def near_zero(scale, name):
    """By statsmodels, of columns about their offsets: no test of residuals depends on these, but its digits do."""
    (x_offset, x_scale), (y_offset, y_scale) = (SCALES | FAR)[scale]
    x, y, g = columns(scale)
    chosen = {"~ x, g only": g, "~ x, not g": ~g}.get(name, np.ones_like(g))
    plain = [(x - x_offset)[chosen] / x_scale, g[chosen].astype(float)]
    return sm.OLS((y - y_offset)[chosen] / y_scale, sm.add_constant(np.column_stack(DESIGNS[name](*plain)))).fit()


@pytest.mark.filterwarnings("ignore:The design matrix is rank-deficient")  # a group's square is itself
@pytest.mark.parametrize("scale", [*SCALES, *FAR])
@pytest.mark.parametrize("name", DESIGNS)
def test_whether_errors_are_of_one_size_and_neighbours_alike_is_told_as_statsmodels_does_to_10_digits(scale, name):
    """Of a group alone, both tests are one, and statsmodels' second loses its digits to the group's square."""
    found = statistics(scale)["residuals"][name]
    fit = near_zero(scale, name)

    for ours, (statistic, p, *_) in (
        (found["breusch_pagan"], het_breuschpagan(fit.resid, fit.model.exog)),
        (found["white"], (het_breuschpagan if name == "~ g" else het_white)(fit.resid, fit.model.exog)),
    ):
        assert gap(ours["statistic"], statistic) < 1e-10
        assert gap(ours["p"], p) < 1e-10 * max(1, statistic)
    assert gap(found["durbin_watson"], durbin_watson(fit.resid)) < 1e-10


def test_the_degrees_of_the_tests_are_those_of_columns_that_differ():
    found = statistics("unit")["residuals"]

    degrees = {name: (each["breusch_pagan"]["degrees"], each["white"]["degrees"]) for name, each in found.items()}

    assert degrees == {
        "~ x": (1, 2), "~ g": (1, 1), "~ x + g": (2, 4), "~ x, g only": (1, 2), "~ x, not g": (1, 2), "~ x * g": (3, 5),
    }  # fmt: skip


def test_of_a_feature_of_two_values_squares_say_nothing_of_their_own():
    random = np.random.default_rng(2)
    x, g = (random.random(400) < 0.4).astype(float), random.random(400) < 0.5
    y = random.standard_normal(400) * (1 + x)

    found = taught(x, y, g).report()["statistics"]["residuals"]["~ x"]

    assert found["white"] == found["breusch_pagan"]
    assert found["white"]["degrees"] == 1
    assert found["white"]["p"] < 1e-6


def test_rows_that_drift_or_turn_about_are_told_from_those_that_do_not():
    random = np.random.default_rng(3)
    x, noise = random.standard_normal((2, 2000))
    g = random.random(2000) < 0.3
    walk = np.cumsum(noise)

    alike, unlike, neither = (
        taught(x, x + rest, g).report()["statistics"]["residuals"]
        for rest in (walk, noise * 0.1 + (-1.0) ** np.arange(2000), noise)
    )

    for name in DESIGNS:
        assert alike[name]["durbin_watson"] < 0.1
        assert neither[name]["durbin_watson"] == pytest.approx(2, abs=0.25)
    assert unlike["~ x"]["durbin_watson"] > 3.9


def test_of_a_line_without_errors_nothing_is_said_of_them():
    x = np.arange(30) / 10

    found = taught(x, 0.7 * x + 0.1, np.arange(30) % 2 == 0).report()["statistics"]["residuals"]["~ x"]

    nothing = {"statistic": None, "p": None, "degrees": None}
    assert found == {"breusch_pagan": nothing, "white": nothing, "durbin_watson": None}


def test_far_from_zero_statsmodels_itself_is_not_exact():
    target, columns = design("1e6 ± 1", "~ x * g")

    _, theirs, _ = by_statsmodels(target, columns)
    _, exact, _ = by_fractions(target, columns)

    assert gap(theirs["estimate"], exact["estimate"]) > 1e-11


@pytest.mark.parametrize("scale", [*SCALES, *FAR])
def test_correlations_are_those_of_the_rows_and_partial_ones_those_of_residuals(scale):
    x, y, g = columns(scale)
    x, y, g = x - x.mean(), y - y.mean(), g - g.mean()

    def left(column, given):
        return column - given * (column @ given) / (given @ given)

    def correlation(a, b):
        return a @ b / math.sqrt((a @ a) * (b @ b))

    found = statistics(scale)["correlations"]

    expected = {
        "x ~ y": correlation(x, y), "x ~ g": correlation(x, g), "y ~ g": correlation(y, g),
        "x ~ y | g": correlation(left(x, g), left(y, g)), "x ~ g | y": correlation(left(x, y), left(g, y)),
        "y ~ g | x": correlation(left(y, x), left(g, x)),
        "x ~ y, g only": np.corrcoef(x[g > 0], y[g > 0])[0, 1], "x ~ y, not g": np.corrcoef(x[g < 0], y[g < 0])[0, 1],
    }  # fmt: skip
    assert list(found) == list(expected)
    assert gap(list(found.values()), list(expected.values())) < 1e-12


def test_means_and_variances_are_told_for_each_group():
    x, y, g = columns("1e8 ± 1")

    found = statistics("1e8 ± 1")["groups"]

    for name, chosen in {"all": g | ~g, "g": g, "not g": ~g}.items():
        centred = x[chosen] - x[0], y[chosen] - y[0]
        assert found[name]["rows"] == chosen.sum()
        assert found[name]["means"]["x"] == x[0] + centred[0].mean()
        assert found[name]["variances"]["y"] == pytest.approx(centred[1].var(ddof=1), rel=1e-13)
        assert found[name]["covariance"] == pytest.approx(np.cov(*centred)[0, 1], rel=1e-13)


def test_the_interval_while_watching_is_that_of_the_formula():
    for rows in (10, 100, 12_345):
        squared = (-2 * math.log(0.05) + math.log(1 - 2 * math.log(0.05))) / 100 * rows
        half = math.sqrt(2 * (squared + 1) / squared * math.log(math.sqrt(squared + 1) / 0.05))
        assert watching_factor(rows) == pytest.approx(half, rel=1e-14)

    term = table(statistics("unit"), "~ x")["terms"][0]
    assert term["watching_high"] - term["estimate"] == pytest.approx(watching_factor(1500) * term["se"], rel=1e-13)


#: By process: the slope overall, pooled, where promoted and where not, and their standard errors at 10,000 rows.
KNOWN = {
    "sum": ((0, -0.322, -0.496, -0.276), (0.010, 0.010, 0.018, 0.011)),
    "logistic": ((0, -0.188, -0.223, -0.171), (0.010, 0.011, 0.018, 0.013)),
    "interaction": ((0, -0.126, 0.308, -0.303), (0.010, 0.010, 0.017, 0.012)),
    "max": ((0, -0.240, -0.543, 0.013), (0.010, 0.010, 0.015, 0.012)),
    "hard": ((0, -0.362, -0.605, -0.302), (0.010, 0.009, 0.016, 0.011)),
}


@pytest.mark.parametrize("process", PROCESSES)
def test_of_a_known_process_it_finds_the_known_slopes(process):
    learned = MomentsLearner(Names("network_ability", "competence", "promoted"))
    for row in employees(process, 11, 0, 10_000):
        learned.learn(row)

    fitted = learned.regressions()
    found = [each.slope("competence") for each in (fitted.overall, fitted.pooled, fitted.inside, fitted.outside)]

    for slope, known, error in zip(found, *KNOWN[process], strict=True):
        # The known slopes were measured, too: the difference of both has √2 of the error.
        assert slope.estimate == pytest.approx(known, abs=3.5 * math.sqrt(2) * error)
        assert slope.se == pytest.approx(error, abs=0.001)


def rows(*triples):
    return taught(*(np.array(column) for column in zip(*triples, strict=True))).report()["statistics"]


def test_of_two_rows_a_line_is_told_and_nothing_of_its_errors():
    found = table(rows((1.0, 3.0, True), (2.0, 5.0, True)), "~ x")

    assert (found["intercept"]["estimate"], found["terms"][0]["estimate"]) == (1.0, 2.0)
    assert found["r2"] is found["sigma"] is found["terms"][0]["se"] is found["terms"][0]["watching_low"] is None


def test_where_one_group_is_empty_only_the_other_and_the_whole_are_regressed():
    found = rows(*((float(i), float(i % 4), False) for i in range(30)))

    defined = {name: table(found, name)["terms"][0]["estimate"] is not None for name in DESIGNS}
    assert defined == {
        "~ x": True,
        "~ g": False,
        "~ x + g": False,
        "~ x, g only": False,
        "~ x, not g": True,
        "~ x * g": False,
    }
    assert found["groups"]["g"] == {
        "rows": 0,
        "means": {"x": None, "y": None},
        "variances": {"x": None, "y": None},
        "covariance": None,
    }
    assert found["correlations"]["x ~ g"] is None


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e8 + 0.3])
def test_a_feature_that_does_not_vary_has_no_slope(constant):
    found = rows((5.0, 1.0, True), *((constant, float(i % 7), i % 2 == 0) for i in range(30)), (5.0, 2.0, True))

    assert table(found, "~ x, not g")["terms"][0]["estimate"] is None
    assert table(found, "~ x, g only")["terms"][0]["estimate"] is not None
    assert table(found, "~ g")["terms"][0]["se"] > 0


def test_a_target_that_does_not_vary_has_slopes_of_zero_and_no_share_explained():
    found = table(rows(*((float(i), 0.3, i % 2 == 0) for i in range(30))), "~ x + g")

    assert [term["estimate"] for term in found["terms"]] == [0.0, 0.0]
    assert (found["r2"], found["f"], found["log_likelihood"], found["sigma"]) == (None, None, None, 0.0)


def test_a_line_through_all_points_has_no_errors_and_no_ratios():
    found = table(rows(*((i / 10, 0.7 * (i / 10) + 0.1, i % 2 == 0) for i in range(30))), "~ x")

    term = found["terms"][0]
    assert (found["r2"], found["sigma"], term["se"]) == (1.0, 0.0, 0.0)
    assert term["low"] == term["high"] == pytest.approx(0.7, rel=1e-15)
    assert term["t"] is term["p"] is found["f"] is found["aic"] is None


def test_moments_that_cannot_be_told_exactly_are_not_told():
    random = np.random.default_rng(1)
    far = (
        (1e8 + x, y, bool(g)) for x, y, g in zip(*random.standard_normal((2, 40)), random.random(40) > 0.5, strict=True)
    )

    found = rows((0.0, 0.0, True), *far)

    assert table(found, "~ x, not g")["terms"][0]["se"] > 0
    assert table(found, "~ x, not g")["terms"][0]["se_robust"] is None
    assert found["jarque_bera"]["~ x, not g"]["statistic"] is None
