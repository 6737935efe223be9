"""Benchmarks: the same workloads over this library's savers and LangGraph's others, in one run."""
