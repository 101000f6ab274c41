"""The rules that ship."""
