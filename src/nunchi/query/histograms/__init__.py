"""Native histograms as values of a query: the grid they stand in, sums, quantiles and trims, and how they are written."""
