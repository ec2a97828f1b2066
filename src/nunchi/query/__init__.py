"""PromQL: text → syntax → plan → operators → value. Reads through the storage contract and knows no store."""
