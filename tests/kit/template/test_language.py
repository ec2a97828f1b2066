"""What templates print: each case was checked against Go's own text/template when it was written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nunchi.kit.template.builtins import function_table
from nunchi.kit.template.errors import TemplateError, TemplateParseError, TemplateRunError
from nunchi.kit.template.evaluator import Limits, render
from nunchi.kit.template.library import LIBRARY, title
from nunchi.kit.template.parser import parse
from nunchi.kit.template.values import TextMap

FUNCTIONS = function_table(LIBRARY, {"title": title})
DATA = {
    "s": "hello",
    "i": 7,
    "f": 2.5,
    "t": True,
    "n": None,
    "l": [1, 2, 3],
    "e": [],
    "m": TextMap(b="B", a="A"),
    "d": {"x": {"y": 5}},
}


def rendered(text, data=DATA, limits=None):
    return render(parse("t", text, FUNCTIONS), "t", data, FUNCTIONS, limits=limits or Limits())


PRINTED = [
    ("{{.i}} {{.f}} {{.t}} {{.n}} {{.l}} {{.m}} {{.d}}", "7 2.5 true <no value> [1 2 3] map[a:A b:B] map[x:map[y:5]]"),
    ("{{ .missing }}|{{ .m.missing }}|{{ .d.x.z }}", "<no value>||<no value>"),
    ("{{ if .e }}yes{{ else }}no{{ end }}", "no"),
    ("{{ if .e }}a{{ else if .t }}b{{ else }}c{{ end }}", "b"),
    ('{{ or .e "x" }} {{ or 0 "" }} {{ and 1 0 2 }} {{ not .t }}', "x  0 false"),
    ("{{ and .e (index .e 5) }}", "[]"),
    ('{{ eq .i 5 6 7 }} {{ ne .s "x" }} {{ le 2.0 2.5 }} {{ gt "b" "a" }}', "true true true true"),
    ('{{ len .s }} {{ len .l }} {{ len .m }} {{ len "é" }}', "5 3 2 2"),
    ('{{ index .l 1 }} {{ index .m "a" }} {{ index .m "zz" }} {{ index .d "x" "y" }}', "2 A  5"),
    ("{{ index .s 1 }} {{ slice .s 1 3 }} {{ slice .l 1 }} {{ slice .s 2 }}", "101 el [2 3] llo"),
    ('{{ printf "%s %d %v %q %5.2f|%-5d|%05d" .s .i .f .s .f .i .i }}', 'hello 7 2.5 "hello"  2.50|7    |00007'),
    ('{{ printf "%d" .s }} {{ printf "%d %d" 1 }}', "%!d(string=hello) 1 %!d(MISSING)"),
    ('{{ printf "%[2]s %[1]s" "a" "b" }} {{ printf "%d" 1 2 }}', "b a 1%!(EXTRA int=2)"),
    ('{{ printf "%+d|%x|%X|%o|%c|%U|%t|%%" 5 255 "hi" 8 65 65 true }}', "+5|ff|6869|10|A|U+0041|true|%"),
    ('{{ printf "%*d|%-*d|%.*f" 5 1 5 2 2 3.14159 }}', "    1|2    |3.14"),
    ('{{ printf "%T %T %T %T" 1 1.5 "a" true }}', "int float64 string bool"),
    ("{{ 1e6 }} {{ 123456789.0 }} {{ 0.00001 }} {{ 100000.0 }} {{ 1.0 }}", "1e+06 1.23456789e+08 1e-05 100000 1"),
    ('{{ print 1 2 "a" 3 nil }}', "1 2a3 <nil>"),
    ("{{ html \"<a href='x'>&\" }}", "&lt;a href=&#39;x&#39;&gt;&amp;"),
    ('{{ js "it\'s <b>\\n" }} {{ urlquery "a b&c=d/é~" }}', "it\\'s \\u003Cb\\u003E\\u000A a+b%26c%3Dd%2F%C3%A9~"),
    ('{{ "quoted" | html | printf "%s-%s" "x" }}', "x-quoted"),
    ("{{ range $i, $v := .l }}{{ $i }}:{{ $v }},{{ end }}", "0:1,1:2,2:3,"),
    ("{{ range $k, $v := .m }}{{ $k }}={{ $v }};{{ end }}", "a=A;b=B;"),
    ("{{ range .e }}x{{ else }}empty{{ end }}{{ range 3 }}{{ . }}{{ end }}", "empty012"),
    ("{{ range .l }}{{ if eq . 2 }}{{ continue }}{{ end }}{{ . }}{{ end }}", "13"),
    ("{{ range .l }}{{ if eq . 2 }}{{ break }}{{ end }}{{ . }}{{ end }}", "1"),
    ("{{ with .e }}x{{ else with .s }}{{ . }}{{ end }}", "hello"),
    ("{{ $x := 1 }}{{ if true }}{{ $x = 5 }}{{ $y := 3 }}{{ $y }}{{ end }}{{ $x }}", "35"),
    ("{{ with .m }}{{ .a }}{{ $.i }}{{ end }}", "A7"),
    ('{{ define "T" }}[{{ . }}]{{ end }}{{ template "T" .i }}{{ template "T" }}', "[7][<no value>]"),
    ('{{ block "B" .l }}{{ len . }}{{ end }}', "3"),
    ("a  {{- 1 -}}  b {{- /* comment */ -}} c {{/* other */}} d", "a1bc  d"),
    ("{{ 1 -}}\n   x\n{{- 3 }} {{-3}}", "1x3 -3"),
    ('{{ "a\\tb\\x41\\u00e9\\"" }} {{ `raw \\n` }} {{ \'a\' }}', 'a\tbAé" raw \\n 97'),
    ("{{ 0x1F }} {{ 017 }} {{ 0b11 }} {{ 1_000 }} {{ .5 }} {{ -4 }}", "31 15 3 1000 0.5 -4"),
    ('{{ (index .d "x").y }} {{ (printf "%d" 3) | toUpper }}', "5 3"),
    ('{{ title "hello wORLD foo_bar x-y 3rd" }}', "Hello WORLD Foo_bar X-Y 3rd"),
    ('{{ reReplaceAll "(l+)(o)" "<$2$1>${1}x$$ $3" .s }} {{ match "^he" .s }}', "he<oll>llx$  true"),
    ('{{ "a" | and "b" }} {{ 0 | or 0 }}', "a 0"),
    ("{{ .s }}}} {{ `}}` }}", "hello}} }}"),
]

NOT_PARSED = [
    ("{{ $y }}", "1:4: undefined variable '$y'"),
    ("{{ if true }}{{ $y := 3 }}{{ end }}{{ $y }}", "1:39: undefined variable"),
    ("{{ nope .s }}", "function 'nope' is not defined"),
    ("a\n{{ if .s }}", "2:4: {{if}} is not closed"),
    ("{{ end }}", "nothing is open"),
    ("{{ .s", "1:1: unclosed action"),
    ('{{ "abc }}', "unterminated quoted string"),
    ("{{ 1 | 2 }}", "stage 2 of the pipeline"),
    ("{{ break }}", "break outside of range"),
    ("{{ $a, $b := .l }}", "too many declarations"),
    ("{{ if .s }}{{ define `x` }}{{ end }}{{ end }}", "top level"),
    ("{{/* a */ }}", "a comment ends"),
    ("{{ 99999999999999999999 }}", "does not fit 64 bits"),
    ("{{ if }}x{{ end }}", "missing value for if"),
    ("{{ .a`b` }}", "put a blank"),
    ("{{ " + "(" * 200 + "1" + ")" * 200 + " }}", "nested deeper"),
]

NOT_RUN = [
    ("{{ .d.q.y }}", "nil value has no .y"),
    ("{{ .s.foo }}", "cannot find .foo in a string"),
    ("{{ eq .f 2 }}", "incompatible types for comparison: float64 and int"),
    ("{{ eq .l .l }}", "non-comparable"),
    ("{{ index .l 9 }}", "out of range"),
    ("{{ toUpper .i }}", "want string, got int"),
    ("{{ toUpper }}", "wrong number of arguments"),
    ('{{ .s "x" }}', "is no method"),
    ('{{ template "nope" }}', "not defined"),
    ('{{ reReplaceAll "(" "x" .s }}', "regular expression"),
    ('{{ printf "%9999999999d" 1 }}', "width"),
    ("{{ nil }}", "nil is not a command"),
]


@pytest.mark.parametrize(("text", "expected"), PRINTED, ids=[text for text, _ in PRINTED])
def test_prints(text, expected):
    assert rendered(text) == expected


@pytest.mark.parametrize(("text", "reason"), NOT_PARSED, ids=[text[:40] for text, _ in NOT_PARSED])
def test_is_refused_before_it_runs(text, reason):
    with pytest.raises(TemplateParseError) as caught:
        parse("t", text, FUNCTIONS)
    assert reason in str(caught.value)


@pytest.mark.parametrize(("text", "reason"), NOT_RUN, ids=[text for text, _ in NOT_RUN])
def test_fails_with_its_place(text, reason):
    with pytest.raises(TemplateRunError) as caught:
        rendered(text)
    assert reason in str(caught.value)
    assert str(caught.value).startswith("template t:1:")


@pytest.mark.parametrize(
    "text",
    [
        "{{ range 1000000000 }}{{ end }}",
        '{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}',
        '{{ $x := "0123456789abcdef" }}{{ range 40 }}{{ $x = print $x $x }}{{ end }}',
        '{{ $x := "0123456789abcdef" }}{{ range 15 }}{{ $x = print $x $x }}{{ end }}{{ printf "%[1]s%[1]s%[1]s" $x }}',
        '{{ $x := "0123456789abcdef" }}{{ range 14 }}{{ $x = print $x $x }}{{ end }}{{ reReplaceAll "." $x $x }}',
        '{{ define "a" }}'
        + "{{ if true }}" * 60
        + '{{ template "a" }}'
        + "{{ end }}" * 60
        + '{{ end }}{{ template "a" }}',
        "{{ range 100000 }}0123456789abcdef0123456789abcdef{{ end }}",
    ],
)
def test_work_and_output_are_bounded(text):
    with pytest.raises(TemplateRunError):
        rendered(text, limits=Limits(steps_max=20_000))


def test_objects_show_only_what_they_offer():
    with pytest.raises(TemplateRunError):
        rendered("{{ .s.__class__ }}")
    with pytest.raises(TemplateRunError):
        rendered("{{ .l.append 1 }}")


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="{}-/*|().$:=\"`'ax1 \n", max_size=60))
def test_no_text_does_worse_than_an_error_with_a_place(text):
    failure = None
    try:
        functions = function_table(LIBRARY)
        render(parse("t", text, functions), "t", {"a": 1}, functions, limits=Limits(steps_max=1000))
    except TemplateError as error:
        failure = error
    assert failure is None or (failure.line >= 1 and failure.column >= 1)
