"""Tokens to trees. Unknown functions, undefined variables and misplaced `break` are found here, before anything is rendered."""

from collections.abc import Collection, Iterable

from nunchi.kit.template import nodes
from nunchi.kit.template.errors import TemplateParseError
from nunchi.kit.template.lexer import Token, TokenKind, tokens
from nunchi.kit.template.literals import parse_number, unquote

NESTING_MAX = 100
_OPERANDS = frozenset(
    (
        TokenKind.IDENTIFIER, TokenKind.BOOLEAN, TokenKind.FIELD, TokenKind.VARIABLE, TokenKind.DOT, TokenKind.NUMBER,
        TokenKind.CHARACTER, TokenKind.STRING, TokenKind.RAW_STRING, TokenKind.LEFT,
    )
)  # fmt: skip
_NOT_CALLABLE = (nodes.Constant, nodes.Nil, nodes.Dot)


def parse(
    name: str, text: str, function_names: Collection[str], variables: Iterable[str] = ()
) -> dict[str, nodes.Template]:
    """The template of this name and all that the text defines, by name; raises `TemplateParseError`.

    `variables` are defined from outside, named with their `$`. A definition of white space alone yields to others.
    """
    return _Parser(name, text, function_names, variables).parse()


class _Parser:
    def __init__(self, name: str, text: str, function_names: Collection[str], variables: Iterable[str]) -> None:
        self._name = name
        self._text = text
        self._function_names = function_names
        self._tokens = list(tokens(name, text))
        self._at = 0
        self._outer = ["$", *variables]
        self._variables = list(self._outer)
        self._range_depth = 0
        self._nesting = 0
        self._defined: dict[str, nodes.Template] = {}

    def parse(self) -> dict[str, nodes.Template]:
        body: list[nodes.Statement] = []
        while self._peek().kind is not TokenKind.END:
            if self._begins("define"):
                self._definition()
                continue
            statement, ending = self._statement()
            if ending is not None:
                raise self._error(ending, f"unexpected {{{{{ending.text}}}}}: nothing is open here")
            if statement is not None:
                body.append(statement)
        self._define(nodes.Template(self._name, self._text, tuple(body)))
        return self._defined

    # statements

    def _statement(self) -> tuple[nodes.Statement | None, Token | None]:
        """A statement, or the `end` / `else` keyword that stands there instead."""
        token = self._next()
        if token.kind is TokenKind.TEXT:
            return nodes.Text(token.position, token.text), None
        assert token.kind is TokenKind.OPEN, token
        word = self._peek()
        if word.kind is TokenKind.KEYWORD and word.text != "nil":
            self._next()
            return self._keyword(word)
        count = len(self._variables)
        pipeline = self._pipeline("action", TokenKind.CLOSE)
        assert len(self._variables) >= count
        return nodes.Action(word.position, pipeline), None

    def _keyword(self, word: Token) -> tuple[nodes.Statement | None, Token | None]:
        if word.text in ("end", "else"):
            if word.text == "end":
                self._expect(TokenKind.CLOSE, "end")
            return None, word
        if word.text in ("if", "with", "range"):
            return self._branch(word), None
        if word.text in ("break", "continue"):
            self._expect(TokenKind.CLOSE, word.text)
            if not self._range_depth:
                raise self._error(word, f"{word.text} outside of range")
            kind = nodes.Break if word.text == "break" else nodes.Continue
            return kind(word.position), None
        if word.text == "template":
            return self._template_call(word), None
        if word.text == "block":
            return self._block(word), None
        raise self._error(word, f"{word.text} must stand at the top level, not inside of another action")

    def _branch(self, word: Token) -> nodes.If | nodes.With | nodes.Range:
        kinds: dict[str, type[nodes.If | nodes.With | nodes.Range]] = {
            "if": nodes.If, "with": nodes.With, "range": nodes.Range,
        }  # fmt: skip
        count = len(self._variables)
        pipeline = self._pipeline(word.text, TokenKind.CLOSE)
        self._range_depth += word.text == "range"
        body, ending = self._body(word)
        self._range_depth -= word.text == "range"
        otherwise: tuple[nodes.Statement, ...] = ()
        if ending.text == "else":
            otherwise = self._otherwise(word)
        del self._variables[count:]
        return kinds[word.text](word.position, pipeline, body, otherwise)

    def _otherwise(self, word: Token) -> tuple[nodes.Statement, ...]:
        following = self._peek()
        if following.kind is TokenKind.KEYWORD and following.text == word.text and word.text in ("if", "with"):
            self._next()
            self._enter(following)
            chained = self._branch(following)
            self._nesting -= 1
            return (chained,)
        self._expect(TokenKind.CLOSE, "else")
        body, ending = self._body(word)
        if ending.text != "end":
            raise self._error(ending, f"{word.text} has two {{{{else}}}}")
        return body

    def _body(self, word: Token) -> tuple[tuple[nodes.Statement, ...], Token]:
        self._enter(word)
        count = len(self._variables)
        body: list[nodes.Statement] = []
        while True:
            if self._peek().kind is TokenKind.END:
                raise self._error(word, f"{{{{{word.text}}}}} is not closed: {{{{end}}}} is missing")
            statement, ending = self._statement()
            if ending is not None:
                del self._variables[count:]
                self._nesting -= 1
                return tuple(body), ending
            if statement is not None:
                body.append(statement)

    def _template_call(self, word: Token) -> nodes.TemplateCall:
        name = self._template_name("template")
        if self._peek().kind is TokenKind.CLOSE:
            self._next()
            return nodes.TemplateCall(word.position, name, None)
        return nodes.TemplateCall(word.position, name, self._pipeline("template", TokenKind.CLOSE))

    def _block(self, word: Token) -> nodes.TemplateCall:
        name = self._template_name("block")
        pipeline = self._pipeline("block", TokenKind.CLOSE)
        self._define(nodes.Template(name, self._text, self._separate_body(word)))
        return nodes.TemplateCall(word.position, name, pipeline)

    def _definition(self) -> None:
        self._next()
        word = self._next()
        name = self._template_name("define")
        self._expect(TokenKind.CLOSE, "define")
        self._define(nodes.Template(name, self._text, self._separate_body(word)))

    def _separate_body(self, word: Token) -> tuple[nodes.Statement, ...]:
        """The body of a template of its own: variables and loops around it do not reach inside."""
        variables, depth = self._variables, self._range_depth
        self._variables, self._range_depth = list(self._outer), 0
        body, ending = self._body(word)
        if ending.text != "end":
            raise self._error(ending, f"unexpected {{{{else}}}} in {word.text}")
        self._variables, self._range_depth = variables, depth
        return body

    def _template_name(self, context: str) -> str:
        token = self._next()
        if token.kind not in (TokenKind.STRING, TokenKind.RAW_STRING):
            raise self._error(token, f"{context} needs a quoted name")
        return self._string(token)

    def _define(self, template: nodes.Template) -> None:
        known = self._defined.get(template.name)
        if known is None or known.is_blank:
            self._defined[template.name] = template
        elif not template.is_blank:
            raise TemplateParseError(self._name, self._text, 0, f"template {template.name!r} is defined twice")

    # pipelines

    def _pipeline(self, context: str, closing: TokenKind) -> nodes.Pipeline:
        begin = self._peek()
        self._enter(begin)
        variables, is_assignment = self._declaration(context)
        commands: list[nodes.Command] = []
        while True:
            token = self._peek()
            if token.kind is closing:
                self._next()
                break
            if token.kind in (TokenKind.CLOSE, TokenKind.RIGHT):
                raise self._error(token, f"unexpected {token.text}" if token.text == ")" else "unclosed (")
            commands.append(self._command(context))
        self._check_commands(commands, begin, context)
        self._nesting -= 1
        if not is_assignment:
            self._variables.extend(variables)
        return nodes.Pipeline(begin.position, variables, is_assignment, tuple(commands))

    def _declaration(self, context: str) -> tuple[tuple[str, ...], bool]:
        first = self._peek()
        if first.kind is not TokenKind.VARIABLE:
            return (), False
        following = self._tokens[self._at + 1]
        if following.kind in (TokenKind.DECLARE, TokenKind.ASSIGN):
            self._at += 2
            names: tuple[str, ...] = (first.text,)
        elif following.kind is TokenKind.COMMA and context == "range":
            second, sign = self._tokens[self._at + 2], self._tokens[self._at + 3]
            if second.kind is not TokenKind.VARIABLE or sign.kind not in (TokenKind.DECLARE, TokenKind.ASSIGN):
                raise self._error(second, "range declares its variables as: range $index, $element := …")
            following = sign
            self._at += 4
            names = (first.text, second.text)
        elif following.kind is TokenKind.COMMA:
            raise self._error(following, f"too many declarations in {context}")
        else:
            return (), False
        is_assignment = following.kind is TokenKind.ASSIGN
        for name in names if is_assignment else ():
            self._check_variable(name, first)
        return names, is_assignment

    def _command(self, context: str) -> nodes.Command:
        begin = self._peek()
        operands: list[nodes.Operand] = []
        while True:
            token = self._peek()
            if token.kind is TokenKind.PIPE:
                self._next()
                if self._peek().kind in (TokenKind.CLOSE, TokenKind.RIGHT):
                    raise self._error(token, f"missing command after | in {context}")
                break
            if token.kind in (TokenKind.CLOSE, TokenKind.RIGHT):
                break
            is_nil = token.kind is TokenKind.KEYWORD and token.text == "nil"
            if token.kind not in _OPERANDS and not is_nil:
                raise self._error(token, f"unexpected {token.text or token.kind.value} in {context}")
            if operands and not token.is_spaced:
                raise self._error(token, f"unexpected {token.text}: put a blank between operands")
            operands.append(self._operand())
        if not operands:
            raise self._error(begin, f"empty command in {context}")
        return nodes.Command(begin.position, tuple(operands))

    def _operand(self) -> nodes.Operand:
        operand = self._term()
        names: list[str] = []
        while self._peek().kind is TokenKind.FIELD and not self._peek().is_spaced:
            names.append(self._next().text[1:])
        if not names:
            return operand
        if isinstance(operand, nodes.Field):
            return nodes.Field(operand.position, (*operand.names, *names))
        if isinstance(operand, nodes.Variable):
            return nodes.Variable(operand.position, operand.name, (*operand.names, *names))
        if isinstance(operand, (nodes.Constant, nodes.Nil, nodes.Dot)):
            raise TemplateParseError(
                self._name, self._text, operand.position, f"unexpected .{names[0]} after a constant"
            )
        return nodes.Chain(operand.position, operand, tuple(names))

    def _term(self) -> nodes.Operand:
        token = self._next()
        place = token.position
        match token.kind:
            case TokenKind.IDENTIFIER:
                if token.text not in self._function_names:
                    raise self._error(token, f"function {token.text!r} is not defined")
                return nodes.FunctionName(place, token.text)
            case TokenKind.DOT:
                return nodes.Dot(place)
            case TokenKind.FIELD:
                return nodes.Field(place, (token.text[1:],))
            case TokenKind.VARIABLE:
                self._check_variable(token.text, token)
                return nodes.Variable(place, token.text, ())
            case TokenKind.LEFT:
                return self._pipeline("parentheses", TokenKind.RIGHT)
            case TokenKind.KEYWORD:
                return nodes.Nil(place)
            case _:
                return nodes.Constant(place, self._constant(token))

    def _constant(self, token: Token) -> bool | int | float | str:
        if token.kind is TokenKind.BOOLEAN:
            return token.text == "true"
        if token.kind in (TokenKind.STRING, TokenKind.RAW_STRING):
            return self._string(token)
        try:
            if token.kind is TokenKind.NUMBER:
                return parse_number(token.text)
            character = unquote(token.text[1:-1])
        except ValueError as error:
            raise self._error(token, str(error)) from None
        if len(character) != 1:
            raise self._error(token, f"malformed character constant {token.text}")
        return ord(character)

    def _string(self, token: Token) -> str:
        body = token.text[1:-1]
        if token.kind is TokenKind.RAW_STRING:
            return body.replace("\r", "")
        try:
            return unquote(body)
        except ValueError as error:
            raise self._error(token, str(error)) from None

    def _check_commands(self, commands: list[nodes.Command], begin: Token, context: str) -> None:
        if not commands:
            raise self._error(begin, f"missing value for {context}")
        for number, command in enumerate(commands[1:], 2):
            if isinstance(command.operands[0], _NOT_CALLABLE):
                reason = f"stage {number} of the pipeline is a value, which cannot take the value before |"
                raise TemplateParseError(self._name, self._text, command.position, reason)

    def _check_variable(self, name: str, token: Token) -> None:
        if name not in self._variables:
            raise self._error(token, f"undefined variable {name!r}")

    # tokens

    def _begins(self, keyword: str) -> bool:
        if self._peek().kind is not TokenKind.OPEN:
            return False
        word = self._tokens[self._at + 1]
        return word.kind is TokenKind.KEYWORD and word.text == keyword

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _expect(self, kind: TokenKind, context: str) -> None:
        token = self._next()
        if token.kind is not kind:
            raise self._error(token, f"unexpected {token.text!r} in {context}")

    def _enter(self, token: Token) -> None:
        self._nesting += 1
        if self._nesting > NESTING_MAX:
            raise self._error(token, f"nested deeper than {NESTING_MAX} levels")

    def _error(self, token: Token, reason: str) -> TemplateParseError:
        return TemplateParseError(self._name, self._text, token.position, reason)
