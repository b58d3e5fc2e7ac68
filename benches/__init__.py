"""What is measured, and against whom: `python benches/run.py`."""
