"""The language of Go's text/template: lexer, parser, evaluator, built-in functions, Go's way to print values.

It knows nothing of what is rendered: who renders brings functions (`functions.function_table`) and data. Data are strings,
numbers, booleans, None, lists, dicts, and objects that say themselves what templates may see of them (`values.Exposed`).
Invariant: rendering never touches a Python attribute that was not offered, and its work and output are bounded.

    text ─▶ lexer ─▶ parser ─▶ nodes ─▶ evaluator ─▶ text
                                          ├── builtins (and, eq, index, printf …)
                                          └── library (title, reReplaceAll, humanize …: offered to who brings functions)
"""
