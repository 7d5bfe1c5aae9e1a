"""Answers about reports: views, paging, differences, blame and checks."""
