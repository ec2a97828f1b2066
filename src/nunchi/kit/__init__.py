"""Parts that know nothing of monitoring; each could be a library of its own. Imports nothing of ours."""
