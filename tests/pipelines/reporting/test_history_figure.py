from datetime import UTC, datetime, timedelta

import pytest

from diamonds.pipelines.reporting.history_figure import METRICS, PANELS, draw

BEGAN = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
A, B = "ab" * 32, "cd" * 32
OVERALL = {"mae": 250.0, "rmse": 500.0, "mape": 0.05, "r2": 0.98, "coverage": 0.9, "width": 0.25, "bias": -18.0}


def model(name, holdout=A, *, promoted=False, scale=1.0):
    overall = {metric: value * scale for metric, value in OVERALL.items()}
    return {"name": name, "metrics": {"overall": overall}, "holdout": holdout, "promoted": promoted, "error": None}


def failed(name):
    return {"name": name, "metrics": None, "holdout": None, "promoted": False, "error": "out of memory"}


def history(*runs):
    """Runs a day apart, the newest first, as the history gives them."""
    given = [
        {"id": f"r{day}", "started_at": BEGAN + timedelta(days=day), "models": models}
        for day, models in enumerate(runs)
    ]
    return given[::-1]


def lines(figure, name):
    """The line of a model in each panel."""
    return [each for each in figure.data if each.legendgroup == name and each.mode == "lines+markers" and each.x[0]]


def stars(figure, name):
    return [each for each in figure.data if each.legendgroup == name and each.marker.symbol == "star"]


def titles(figure):
    return [annotation.text for annotation in figure.layout.annotations]


def test_each_metric_has_a_panel_and_each_model_a_line_from_the_oldest_run_to_the_newest():
    figure = draw(history([model("linear"), model("median", scale=10)], [model("linear", scale=0.9)]))

    assert titles(figure) == [PANELS[metric].title for metric in METRICS]
    assert titles(figure)[:3] == ["MAE, USD (log)", "RMSE, USD (log)", "MAPE, % of the price (log)"]
    mae, *others = lines(figure, "linear")
    assert (list(mae.x), list(mae.y)) == ([datetime(2026, 11, day, 9, 30) for day in (1, 2)], [250.0, 225.0])  # noqa: DTZ001 - as drawn
    assert [line.y[0] for line in others] == [500.0, 0.05, 0.98, 0.9, 0.25]
    assert [line.y[0] for line in lines(figure, "median")][:2] == [2500.0, 5000.0]


def test_dollars_are_on_logarithmic_axes_with_few_ticks_and_shares_are_in_percent():
    axes = draw(history([model("linear"), model("median", scale=10)])).layout

    assert [axes[name].type for name in ("yaxis", "yaxis2", "yaxis4", "yaxis5")] == ["log", "log", "linear", "linear"]
    assert {200, 500, 1000, 2000} <= set(axes.yaxis.tickvals)
    assert (axes.yaxis.tickformat, axes.yaxis5.tickformat) == ("$,.6~r", ".4~p")


def test_the_metric_asked_for_is_drawn_alone():
    figure = draw(history([model("linear")]), ["bias"])

    assert titles(figure) == ["Bias, USD"]
    assert [list(line.y) for line in lines(figure, "linear")] == [[-18.0]]
    assert figure.layout.yaxis.type == "linear"


def test_a_line_is_broken_where_the_holdout_changes_and_the_figure_says_why():
    figure = draw(history(*([model("linear", holdout)] for holdout in (A, A, B, B))), ["mae"])

    (line,) = lines(figure, "linear")
    assert list(line.y) == [250.0, 250.0, None, 250.0, 250.0]
    (rule,) = [each for each in figure.data if each.legendgroup == "another holdout" and each.x[0]]
    assert rule.x[0] == rule.x[1] == datetime(2026, 11, 2, 21, 30)  # noqa: DTZ001 - as drawn
    assert "Lines end where the holdout changed or is not known" in figure.layout.title.text
    assert line.customdata[-1] == "run r3<br>holdout cdcdcdcdcdcd"


def test_on_one_holdout_lines_are_whole_and_nothing_is_said_of_it():
    figure = draw(history([model("linear")], [failed("linear")], [model("linear")]), ["mae"])

    assert list(lines(figure, "linear")[0].y) == [250.0, 250.0]
    assert "holdout" not in figure.layout.title.text
    assert [each.name for each in figure.data if each.name] == ["linear", "became champion"]


def test_no_line_joins_runs_whose_holdout_is_not_known():
    figure = draw(history([model("linear", None)], [model("linear", None)]), ["mae"])

    assert list(lines(figure, "linear")[0].y) == [250.0, None, 250.0]
    assert lines(figure, "linear")[0].customdata[0] == "run r0<br>holdout not known"


def test_a_star_marks_the_run_whose_model_became_champion():
    figure = draw(
        history([model("linear", promoted=True)], [model("linear")], [model("linear", promoted=True)]), ["mae"]
    )

    (star,) = stars(figure, "linear")
    assert [moment.day for moment in star.x] == [1, 3]
    assert star.customdata[0] == "run r0<br>holdout abababababab<br>became champion"
    assert star.hovertemplate.startswith("<b>linear</b> MAE %{y:$,.2f}")


def test_a_model_that_failed_has_no_point():
    figure = draw(history([model("linear"), failed("xgboost")]))

    assert {each.legendgroup for each in figure.data if each.legendgroup} == {"linear"}


@pytest.mark.parametrize("runs", [[], [[failed("linear")]], [[]]])
def test_without_a_judged_model_the_figure_says_so(runs):
    assert draw(history(*runs)).layout.title.text == "The history of models: no run has judged one yet"


def test_a_single_run_stands_in_the_middle_with_its_time_below():
    axis = draw(history([model("linear")])).layout.xaxis

    assert [moment.day for moment in axis.range] == [31, 2]
    assert len(axis.tickvals) == 1
