"""Functions of Kusto that this engine does not have: refused by name, never guessed.

Told apart from names that mean nothing at all, so that nobody looks for a typing error.
"""

from __future__ import annotations

from langgraph.checkpoint.kusto.local.kql.errors import unsupported

_FAMILIES = {
    "series_": "compute with mv-expand and summarize",
    "geo_": "compute in the client",
    "ipv4_": "compute in the client",
    "ipv6_": "compute in the client",
    "format_ipv": "compute in the client",
    "has_ipv": "use has",
    "has_any_ipv": "use has_any",
    "parse_ipv": "compute in the client",
    "punycode_": "compute in the client",
    "convert_": "compute with * and /",
    "beta_": "compute in the client",
    "graph_": "use join",
    "node_": "use join",
    "tdigest": "use percentile()",
    "percentile_tdigest": "use percentile()",
    "percentrank_tdigest": "use percentile()",
    "merge_tdigest": "use percentile()",
    "rank_tdigest": "use percentile()",
    "percentilew": "use percentile()",
    "percentilesw": "use percentiles()",
    "hll": "use dcount()",
    "dcount_hll": "use dcount()",
    "dcount_intersect": "use dcount()",
    "covariance": "compute it from sums",
    "datetime_local_to_utc": "convert in the client",
    "datetime_utc_to_local": "convert in the client",
    "datetime_list_timezones": "convert in the client",
}
_SINGLE = {
    "ai_chat_completion": "ask the model in the client",
    "ai_embeddings": "ask the model in the client",
    "around": "use between",
    "bag_pack_columns": "use bag_pack()",
    "bin_auto": "use bin()",
    "buildschema": "use bag_keys()",
    "cluster": "there is one cluster; name the table",
    "column_names_of": "use getschema",
    "current_cluster_endpoint": "there is one cluster",
    "current_node_id": "there is one node",
    "estimate_data_size": "use string_size()",
    "external_table": "ingest the data into a table",
    "extract_json": "use parse_json() and a path",
    "extractjson": "use parse_json() and a path",
    "format_bytes": "use strcat() and round()",
    "hash_combine": "use hash() of strcat()",
    "hash_many": "use hash() of strcat()",
    "parse_command_line": "use split()",
    "parse_csv": "use split()",
    "parse_path": "use split()",
    "parse_user_agent": "use extract()",
    "parse_version": "use split() and tolong()",
    "parse_xml": "use extract()",
    "row_rank": "use row_rank_dense()",
    "row_window_session": "use row_number() with a restart",
    "rowstore_ordinal_range": "there are no row stores",
    "stored_query_result": "use materialize()",
    "welch_test": "compute in the client",
}


def check_known(name: str) -> None:
    """Refuse a function that Kusto has and this engine does not."""
    if name in _SINGLE:
        raise unsupported(f"the function '{name}'", _SINGLE[name])
    for family, remedy in _FAMILIES.items():
        if name.startswith(family):
            raise unsupported(f"the function '{name}'", remedy)
