"""The agents the server knows: who they are, when they were last heard, whether they are healthy."""
