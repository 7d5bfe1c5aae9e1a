"""Pages made of a report. Each module turns an outline into one format and knows nothing else."""
