"""What the tests above the unit level share: where they run, savers under test, and test bodies.

The bodies are classes without `Test` in their names; `integration/` runs each of them on both
savers.
"""
