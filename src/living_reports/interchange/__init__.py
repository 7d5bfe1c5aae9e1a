"""Import and export: Markdown with its git history, igloo-mcp directories, whole reports."""
