"""Cloud configuration at the agent: where it comes from, which clippers it makes, what they hand on and how they are seen."""
