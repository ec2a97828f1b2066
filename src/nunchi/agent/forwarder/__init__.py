"""Delivery of rounds to the server: payloads, acknowledgement, retry. What is dropped is counted with a reason."""
