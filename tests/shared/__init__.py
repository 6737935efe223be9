"""What several test files share: where they run, savers under test, test bodies, stand-ins.

The bodies are classes without `Test` in their names; `integration/` runs each of them on both
savers.
"""
