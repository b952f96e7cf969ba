"""The OpenAPI document: made from the types of the routes, complete, and true of the service that is described."""

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jsonschema_rs
import pytest
from pydantic import BaseModel, Field

from diamonds.schema import Diamond, Problem
from diamonds.service import examples, openapi, problems
from diamonds.service.doors import DOORS
from diamonds.service.problems import RefusedError

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


#: A description has no words for a moment that must be later than another.
TAKES_TWO_MOMENTS = """
[[operations]]
include-path-regex = "^/traffic"
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "422"]
"""


class Answer(BaseModel):
    price: float


def price_one(self, diamond: Diamond, /) -> Answer:
    """What it costs.

    More than that.
    """


def price_many(self, diamonds: Annotated[list[Diamond], Field(min_length=1, max_length=10_000)], /) -> Answer:
    """What they cost."""


@dataclass
class Api:
    route: str
    func: Any


APIS = [Api("/predict", price_one), Api("/predict/batch", price_many), Api("/sales", price_one)]
DOCUMENT = openapi.document(APIS, DOORS)


def operation(path, method="post"):
    return DOCUMENT["paths"][path][method]


def body_of(path):
    return operation(path)["requestBody"]["content"]["application/json"]["schema"]


def answer_of(document, path, method, status=200):
    """The description of an answer, its references to shared ones followed."""
    answer = document["paths"][path][method]["responses"][str(status)]
    return document["components"]["responses"][answer["$ref"].split("/")[-1]] if "$ref" in answer else answer


def holds(document, schema, value):
    """Whether a value holds to a schema of the document."""
    return jsonschema_rs.validator_for(schema | {"components": document["components"]}).is_valid(value)


def test_a_route_is_described_by_its_functions_types_and_words():
    described = operation("/predict")

    assert described["summary"] == "What it costs"
    assert body_of("/predict") == {"$ref": "#/components/schemas/Diamond"}
    answer = described["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/Answer"}
    assert DOCUMENT["components"]["schemas"]["Answer"]["properties"]["price"]["type"] == "number"


def test_the_schema_of_a_diamond_holds_what_the_service_takes_and_refuses_the_rest():
    schema = body_of("/predict")
    stone = examples.FOUR_CS

    assert holds(DOCUMENT, schema, stone)
    assert holds(DOCUMENT, schema, stone | {"x": None})
    assert holds(DOCUMENT, schema, stone | {"carat": 100})
    wrong = [{"carat": 0}, {"carat": 100.1}, {"carat": "1"}, {"color": "Z"}, {"dept": 62}, {"x": 0}, {"depth": True}]
    assert [change for change in wrong if holds(DOCUMENT, schema, stone | change)] == []


def test_the_limits_of_a_batch_are_in_the_schema():
    described = body_of("/predict/batch")

    assert (described["minItems"], described["maxItems"]) == (1, 10_000)


def test_grades_are_described_in_their_order_with_the_best_named():
    color = DOCUMENT["components"]["schemas"]["Diamond"]["properties"]["color"]

    assert color["description"] == "from best to worst: D, E, F, G, H, I, J (D is the best)"
    assert color["enum"] == ["J", "I", "H", "G", "F", "E", "D"]


def test_measures_are_described_with_their_units():
    properties = DOCUMENT["components"]["schemas"]["Diamond"]["properties"]

    assert properties["carat"]["description"] == "weight in carats (1 ct is 0.2 g)"
    assert "millimetres" in json.dumps(properties["x"])


@pytest.mark.parametrize(
    ("path", "method", "statuses"),
    [
        ("/predict", "post", "200 400 405 408 413 415 422 503 504"),
        ("/predict/batch", "post", "200 400 405 408 413 415 422 503 504"),
        ("/sales", "post", "200 400 401 403 404 405 408 413 415 422 503 504"),
        ("/champion", "get", "200 405 503 504"),
        ("/history", "get", "200 405 422 503 504"),
        ("/traffic", "get", "200 401 403 405 422 503 504"),
        ("/traffic/counts", "get", "200 401 403 405 422 503 504"),
        ("/livez", "get", "200"),
        ("/readyz", "get", "200 503"),
        ("/metrics", "get", "200"),
    ],
)
def test_each_status_that_a_route_may_answer_is_described(path, method, statuses):
    assert " ".join(operation(path, method)["responses"]) == statuses


def test_whoever_is_sent_away_is_told_when_to_come_back():
    retry_after = answer_of(DOCUMENT, "/predict", "post", 503)["headers"]["Retry-After"]

    assert retry_after["required"]
    assert retry_after["schema"] == {"type": "integer"}


def test_only_what_changes_something_or_shows_bodies_asks_for_a_token_and_not_on_the_machine_itself():
    for guarded in (operation("/sales"), operation("/traffic", "get"), operation("/traffic/counts", "get")):
        assert guarded["security"] == [{"token": []}, {}]
    assert "security" not in operation("/predict")
    assert "security" not in operation("/history", "get")
    assert DOCUMENT["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_what_an_address_asks_for_can_be_left_out_and_is_never_null():
    parameters = {each["name"]: each for each in operation("/traffic", "get")["parameters"]}

    assert list(parameters) == ["since", "until", "path", "status", "version", "limit", "before"]
    assert parameters["since"]["schema"].items() >= {"type": "string", "format": "date-time"}.items()
    assert "null" not in json.dumps(list(parameters.values()))
    assert not any(each.get("required") for each in parameters.values())


def test_problems_are_described_as_they_are_written():
    written = json.loads(problems.as_json(RefusedError(422, [Problem("color", "Z", "must be one of D")]), "id"))
    described = answer_of(DOCUMENT, "/predict", "post", 422)["content"]["application/problem+json"]["schema"]

    assert set(written) == set(openapi.Refusal.model_fields)
    assert holds(DOCUMENT, described, written)
    assert not holds(DOCUMENT, described, written | {"errors": ["wrong"]})
    assert all(holds(DOCUMENT, described, example) for example in examples.PROBLEMS.values())


@pytest.fixture(scope="module")
def served_document(served):
    with urllib.request.urlopen(f"{served.url}/docs.json", timeout=30) as answer:  # noqa: S310 - our own loopback address
        assert answer.headers["Content-Type"] == "application/json"
        return json.load(answer)


def ask(served, path, body):
    request = urllib.request.Request(served.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


def test_each_route_is_explained_and_has_examples(served_document):
    for path, methods in served_document["paths"].items():
        for method, described in methods.items():
            assert described["summary"], path
            if method == "post":
                assert described["description"], path
                assert described["requestBody"]["content"]["application/json"]["examples"], path
                assert "example" in described["responses"]["200"]["content"]["application/json"], path


def test_each_example_runs_and_what_is_answered_looks_like_the_example(served, served_document):
    runs = [path for path, methods in served_document["paths"].items() if "post" in methods and path != "/sales"]

    assert {"/predict", "/similar"} <= set(runs)
    for path in runs:
        described = answer_of(served_document, path, "post")["content"]["application/json"]
        for example in examples.REQUESTS[path].values():
            answer = ask(served, path, example)
            assert set(answer) == set(described["example"])
            assert holds(served_document, described["schema"], answer)


def test_examples_of_answers_hold_to_their_schemas(served_document):
    described = [
        (path, answer_of(served_document, path, method)["content"].get("application/json", {}))
        for path, methods in served_document["paths"].items()
        for method in methods
    ]

    shown = {path: each for path, each in described if "example" in each}
    assert {"/predict", "/similar", "/champion", "/traffic", "/traffic/counts"} <= set(shown)
    assert [path for path, each in shown.items() if not holds(served_document, each["schema"], each["example"])] == []


def test_nothing_that_the_description_allows_or_forbids_is_answered_otherwise(served, served_document, tmp_path):
    """Schemathesis asks each route what it should take and what it should refuse, and checks each answer."""
    words = ["run", f"{served.url}/docs.json", "--checks=all", "--max-examples=15", "--generation-deterministic"]
    (tmp_path / "schemathesis.toml").write_text(TAKES_TWO_MOMENTS)

    found = subprocess.run([SCHEMATHESIS, *words], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert found.returncode == 0, found.stdout
    operations = sum(map(len, served_document["paths"].values()))
    assert f"Tested: {operations}\n" in found.stdout
    assert int(re.search(r"(\d+) generated", found.stdout)[1]) > 40 * operations


def test_what_is_asked_by_get_is_refused_in_the_same_plain_words(served, served_document):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{served.url}/history?limit=0", timeout=30)  # noqa: S310

    with caught.value as answer:
        assert (answer.code, answer.headers["Content-Type"]) == (422, "application/problem+json")
        problem = json.load(answer)
    described = answer_of(served_document, "/history", "get", 422)["content"]["application/problem+json"]["schema"]
    assert holds(served_document, described, problem)
