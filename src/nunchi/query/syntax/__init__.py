"""PromQL's text: lexer, parser, typed nodes, signatures, printer. Pure; knows nothing of plans and engines."""
