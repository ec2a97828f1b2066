"""What the API says of functions: those that this server evaluates, its own Python functions with their words."""

from dataclasses import asdict

from tests.web.conftest import Asker

import nunchi
from nunchi.query.engine import Engine, EngineSettings
from nunchi.query.syntax import EVERYTHING
from nunchi.storage.memory import MemoryStore
from nunchi.testing.clock import VirtualClock
from nunchi.web.nunchi_api.functions import FunctionEndpoints
from nunchi.web.prometheus_api.parameters import Parameters


@nunchi.function
def above_usual(values, times, factor=3.0, share=0.5):
    """How many times its usual height a series has.

    Nothing below `factor` times.
    """
    return values


async def listed(settings: EngineSettings) -> dict[str, dict[str, object]]:
    answer = await FunctionEndpoints(Engine(settings)).functions(Parameters())
    return {function.name: asdict(function) for function in answer.data["functions"]}


async def test_python_functions_are_listed_with_their_words():
    functions = await listed(EngineSettings(functions=(above_usual,)))
    assert functions["above_usual"] == {
        "name": "above_usual",
        "signature": "above_usual(instant vector, factor=3, share=0.5) returns instant vector",
        "documentation": "How many times its usual height a series has.\n\nNothing below `factor` times.",
        "is_python": True,
    }
    assert list(functions) == sorted(functions)
    assert functions["rate"]["is_python"] is False


async def test_experimental_functions_are_listed_where_they_are_on():
    assert "mad_over_time" not in await listed(EngineSettings())
    assert "mad_over_time" in await listed(EngineSettings(parser=EVERYTHING))


async def test_the_list_is_served(asker: Asker):
    functions = (await asker.data("/api/nunchi/v1/functions"))["functions"]
    assert {"name", "signature", "documentation", "is_python"} == set(functions[0])


def test_explain_says_what_a_python_function_says_of_itself():
    engine = Engine(EngineSettings(functions=(above_usual,)))
    store = MemoryStore(VirtualClock())
    report = engine.explain(store.querier, "sum(above_usual(up, 4))", 0, 0, 0)
    (call,) = report.children
    assert (call.text, call.note) == ("above_usual()", above_usual.documentation)
    assert report.note == ""
    _, profiled = engine.profile(store.querier, "sum(above_usual(up, 4))", 0, 0, 0)
    assert profiled.children[0].note == above_usual.documentation
