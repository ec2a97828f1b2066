"""What the configuration file may say to mechanisms that are known by their syntax: clouds, clusters, registries, queries.

A struct a mechanism, in Prometheus's words and with Prometheus's rules of what is complete. A mechanism with a file of its
own beside this folder keeps its settings there.
"""
