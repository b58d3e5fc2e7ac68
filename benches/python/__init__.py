"""Kernels and engine, both back ends and peers side by side."""
