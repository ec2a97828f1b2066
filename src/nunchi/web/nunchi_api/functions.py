"""What may be called in PromQL here: Prometheus's functions as far as they are on, this server's own, aggregations."""

from dataclasses import dataclass

from nunchi.kit.http_route import Route
from nunchi.query.engine import Engine
from nunchi.query.functions import PythonFunction
from nunchi.query.syntax.operators import AGGREGATIONS
from nunchi.query.syntax.signatures import FUNCTIONS, Function
from nunchi.web.prometheus_api.envelope import Answer, Envelope
from nunchi.web.prometheus_api.parameters import Parameters


@dataclass(frozen=True, slots=True, order=True)
class ShownFunction:
    """One function as editors show it; `documentation` is that of a Python function."""

    name: str
    signature: str
    documentation: str = ""
    is_python: bool = False


class FunctionEndpoints:
    """One list, for query editors."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self, envelope: Envelope) -> list[Route]:
        """The one there is."""
        return [*envelope.read("/api/nunchi/v1/functions", self.functions)]

    async def functions(self, _: Parameters) -> Answer:
        """By name: how each is called; of Python functions what they say of themselves."""
        settings = self._engine.settings
        shown = [
            ShownFunction(name, _signature(function))
            for name, function in FUNCTIONS.items()
            if settings.parser.experimental_functions or not function.experimental
        ]
        shown += [_python(function) for function in settings.functions]
        return Answer({"functions": sorted(shown), "aggregations": sorted(AGGREGATIONS)})


def _signature(function: Function) -> str:
    words = [argument.title for argument in function.arguments]
    words[function.arguments_min :] = [f"[{word}]" for word in words[function.arguments_min :]]
    return f"{function.name}({', '.join(words)}) returns {function.returns.title}"


def _python(function: PythonFunction) -> ShownFunction:
    signature = f"{function.usage} returns {function.signature.returns.title}"
    return ShownFunction(function.name, signature, function.documentation, is_python=True)
