"""Composing: requests, methods of search, demands and files."""
