"""What Kusto leaves open is decided by the random source, when there is one."""

import pytest


def orders(kql, text, seeds=range(20)):
    return {tuple(kql.tables(text, seed=seed)[-1].rows) for seed in seeds}


@pytest.mark.parametrize(
    "text",
    [
        "Events | project id",
        "Events | where id != 'z' | project id",
        "Events | distinct id",
        "Events | summarize by id",
        "Events | take 2 | project id",
        "Owners | project id, owner | order by id asc",  # two rows share a key
        "Owners | top 1 by id != ''",
        "union Events, Owners | project id",
        "Events | join kind=inner Owners on id | project owner",
        "Owners | summarize take_any(owner) by id | order by id asc",
        "Owners | summarize arg_max(1, owner)",
        "Owners | summarize arg_max(id == 'x', owner)",
        "let kept = materialize(Events | project id); kept",
    ],
)
def test_open_orders_and_ties_vary(kql, text):
    assert len(orders(kql, text)) > 1


@pytest.mark.parametrize(
    "text",
    [
        "Events | project id | order by id asc",
        "Events | top 2 by id | project id",
        "Events | count",
        "Events | summarize max(n), sum(n), count()",
        "Events | order by n asc | extend i = row_number() | project i, id",
        "range x from 1 to 9 step 1",
        "Events | summarize arg_max(n, id)",
        "Events | order by id asc | take 2 | project id",
    ],
)
def test_what_kusto_promises_stays(kql, text):
    assert len(orders(kql, text)) == 1


def test_a_seed_decides_everything(kql):
    text = "Events | project id, new_guid(), rand()"
    assert kql.tables(text, seed=5)[0].rows == kql.tables(text, seed=5)[0].rows


def test_a_materialized_table_keeps_its_values(kql):
    text = "let kept = materialize(Events | project id, g = new_guid()); kept; kept"
    first, second = kql.tables(text, seed=3)
    assert sorted(first.rows) == sorted(second.rows)


def test_without_a_random_source_the_order_is_that_of_the_table(kql):
    assert kql.column("Events | project id") == ["a", "b", "c", "d"]
    assert kql.column("Owners | summarize take_any(owner)") == ["ann"]
