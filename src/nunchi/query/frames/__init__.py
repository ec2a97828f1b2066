"""Results as tables of other libraries: Apache Arrow, pandas, Polars. Each is imported when a table is asked for."""
