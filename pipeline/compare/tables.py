"""The tables 2 to 6 of Crocodile, its loss by weight, and what each domain gains against a model of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from models.config import ModelConfig
from models.metrics.comparison import GUARDED
from models.metrics.domain_summary import OVERALL
from models.metrics.seeds import Difference
from pipeline.compare.standings import Standings
from pipeline.compare.table import Column, Table, Value, ranks
from pipeline.compare.variants import Variant, Variants
from pipeline.comparison_text import METRIC_NAMES

RANKING = ("auc", "gauc")
"""The metrics of the paper's tables."""


def all_tables(variants: Variants, found: Standings) -> list[Table]:
    """The tables that were asked for, in the paper's order; what is not trained yet is a dash.

    Args:
      variants: Their rows.
      found: What is known of them.
    """
    tables = []
    if variants.models:
        tables += [by_domain(variants.models, found, variants.base)]
        tables += [table for table in [transfer(variants.models, found)] if table is not None]
    for backbone, rows in variants.losses.items():
        title = f"Losses between the experts of {backbone}"
        tables.append(against_base(f"losses_{backbone}", title, rows, found, ()))
    if variants.ablation:
        columns = ("embedding", "gating", "loss")
        tables.append(against_base("ablation", "Ablation of Crocodile", variants.ablation, found, columns))
    if variants.sets:
        tables.append(by_sets(variants.sets, found))
    if variants.alphas:
        title = "Weight alpha of Crocodile's loss between experts"
        tables.append(against_base("alpha", title, variants.alphas, found, ()))
    best = best_and_second(variants, found)
    return [*tables, best] if best.rows else tables


def by_domain(rows: Sequence[Variant], found: Standings, base: str | None) -> Table:
    """Tables 2 and 3: AUC and gAUC of every model in every domain, the best tested against the second best.

    Args:
      rows: Models.
      found: What is known of them.
      base: The row that the lift is over.
    """
    columns = [Column("model")]
    cells: list[list[str | int | Value]] = [[row.label] for row in rows]
    for metric in RANKING:
        for name in found.slices:
            columns.append(Column(_heading(name), METRIC_NAMES[metric]))
            for cell, value in zip(cells, _ranked(rows, found, name, metric, against_second=True), strict=True):
                cell.append(value)
    over = next((row for row in rows if row.label == base), None)
    if over is not None:
        for metric in RANKING:
            columns.append(Column(f"{METRIC_NAMES[metric]} %", f"lift over {over.label}"))
            for cell, row in zip(cells, rows, strict=True):
                cell.append(_lift(found, row.model, over.model, metric))
    columns.append(Column("seeds"))
    for cell, row in zip(cells, rows, strict=True):
        cell.append(found.seeds(row.model))
    return Table("models", "Models by domain", _caption(found, "the second best"), tuple(columns), _frozen(cells))


def against_base(name: str, title: str, rows: Sequence[Variant], found: Standings, parts: Sequence[str]) -> Table:
    """Tables 4 and 5: overall metrics with their lift over the first row, each tested against it.

    Args:
      name: Name of the table's files.
      title: Its title.
      rows: The base, then what is compared with it.
      found: What is known of them.
      parts: Headings of the rows' parts.
    """
    columns = [Column("variant"), *(Column(part, "components") for part in parts)]
    cells: list[list[str | int | Value]] = [[row.label, *row.parts] for row in rows]
    base = rows[0].model
    for metric in RANKING:
        columns += [Column(METRIC_NAMES[metric]), Column(f"{METRIC_NAMES[metric]} lift %")]
        values = _ranked(rows, found, OVERALL, metric, against_second=False)
        for cell, row, value in zip(cells, rows, values, strict=True):
            cell += [
                _starred(value, found.difference(row.model, base, OVERALL, metric)),
                _lift(found, row.model, base, metric),
            ]
    columns.append(Column("seeds"))
    for cell, row in zip(cells, rows, strict=True):
        cell.append(found.seeds(row.model))
    return Table(name, title, _caption(found, "the base"), tuple(columns), _frozen(cells))


def by_sets(pairs: dict[int, tuple[Variant, Variant]], found: Standings) -> Table:
    """Table 6: Crocodile and its base, ME-MMoE with PG, at each number of embedding sets.

    Args:
      pairs: By number of sets: base and Crocodile.
      found: What is known of them.
    """
    columns = [Column("sets")]
    for metric in RANKING:
        columns += [Column(name, METRIC_NAMES[metric]) for name in ("ME-MMoE-PG", "crocodile", "lift %")]
    columns.append(Column("seeds"))
    cells: list[list[str | int | Value]] = [[number] for number in pairs]
    for metric in RANKING:
        for side in (0, 1):
            values = _ranked([pair[side] for pair in pairs.values()], found, OVERALL, metric, against_second=False)
            for cell, pair, value in zip(cells, pairs.values(), values, strict=True):
                compared = found.difference(pair[1].model, pair[0].model, OVERALL, metric) if side else None
                cell.append(_starred(value, compared))
        # The lift follows both values of its metric.
        for cell, (base, full) in zip(cells, pairs.values(), strict=True):
            cell.append(_lift(found, full.model, base.model, metric))
    for cell, (base, full) in zip(cells, pairs.values(), strict=True):
        cell.append(min(found.seeds(base.model), found.seeds(full.model)))
    caption = _caption(found, "ME-MMoE-PG with as many sets")
    return Table("sets", "Number of embedding sets", caption, tuple(columns), _frozen(cells))


def transfer(rows: Sequence[Variant], found: Standings) -> Table | None:
    """What each domain gains or pays in a common model, against a model of its own alone.

    Args:
      rows: Models.
      found: What is known of them.

    Returns:
      The table; None where `single_domain` or every other model is missing.
    """
    single = next((row for row in rows if row.label == "single_domain"), None)
    others = [row for row in rows if row is not single]
    if single is None or not others:
        return None
    columns = [Column("model")]
    columns += [Column(domain, f"{METRIC_NAMES[metric]} change %") for metric in RANKING for domain in found.domains]
    columns += [Column("gained", "domains, gAUC"), Column("paid", "domains, gAUC")]
    cells: list[list[str | int | Value]] = []
    for row in others:
        changes = [
            found.difference(row.model, single.model, name, metric) for metric in RANKING for name in found.slices[:-1]
        ]
        verdicts = [one.verdict for one in changes[len(found.domains) :] if one is not None]
        values = [
            Value(None if one is None else one.change, is_lift=True, is_significant=_significant(one))
            for one in changes
        ]
        cells.append([row.label, *values, verdicts.count("gained"), verdicts.count("paid")])
    caption = (
        "Change against single_domain, which learns each domain from its own rows alone; below 0 is negative transfer. "
    )
    return Table(
        "transfer",
        "Negative transfer by domain",
        caption + _tests(found, "single_domain"),
        tuple(columns),
        _frozen(cells),
    )


def best_and_second(variants: Variants, found: Standings) -> Table:
    """Of the table by domain: best, second best, their difference with its interval, and both tests' p-values.

    Args:
      variants: The comparison's rows.
      found: What is known of them.
    """
    columns = ("slice", "metric", "best", "second best", "difference", "from", "to", "p users", "p seeds", "verdict")
    cells: list[list[str | int | Value]] = []
    for name in found.slices:
        for metric in RANKING:
            pair = first_two(variants.models, found, name, metric)
            if pair is None:
                continue
            best, second = pair
            compared = found.difference(best.model, second.model, name, metric)
            if compared is None:
                continue
            low, high = compared.interval or (None, None)
            numbers = [Value(value) for value in (compared.change, low, high, compared.p_users, compared.p_seeds)]
            verdict = "significant" if compared.is_significant else "within chance"
            cells.append([name, METRIC_NAMES[metric], best.label, second.label, *numbers, verdict])
    title = "Best against second best"
    return Table("significance", title, _tests(found, "the second best"), tuple(map(Column, columns)), _frozen(cells))


def first_two(rows: Sequence[Variant], found: Standings, name: str, metric: str) -> tuple[Variant, Variant] | None:
    """The best and the second best model of a slice; None with fewer than two that have the metric.

    Args:
      rows: Models.
      found: What is known of them.
      name: The slice.
      metric: The metric.
    """
    means = [(row, found.spread(row.model, name, metric).mean) for row in rows]
    defined = [(row, mean) for row, mean in means if mean is not None]
    order = sorted(defined, key=lambda one: one[1], reverse=GUARDED[metric].higher_is_better)
    return (order[0][0], order[1][0]) if len(order) > 1 else None


def _heading(name: str) -> str:
    """A domain's name; where that is `overall`, not without saying that it is a domain's."""
    short = name.removeprefix("domain ")
    return name if short == OVERALL and name != OVERALL else short


def _ranked(rows: Sequence[Variant], found: Standings, name: str, metric: str, *, against_second: bool) -> list[Value]:
    spreads = [found.spread(row.model, name, metric) for row in rows]
    places = ranks([one.mean for one in spreads], GUARDED[metric].higher_is_better)
    pair = first_two(rows, found, name, metric) if against_second else None
    compared = None if pair is None else found.difference(pair[0].model, pair[1].model, name, metric)
    return [
        Value(one.mean, one.deviation, place, place == 1 and bool(_significant(compared)))
        for one, place in zip(spreads, places, strict=True)
    ]


def _starred(value: Value, compared: Difference | None) -> Value:
    return value._replace(is_significant=_significant(compared))


def _significant(compared: Difference | None) -> bool | None:
    return None if compared is None else compared.is_significant


def _lift(found: Standings, model: ModelConfig, base: ModelConfig, metric: str) -> Value:
    compared = None if model == base else found.difference(model, base, OVERALL, metric)
    return Value(None if compared is None else compared.change, is_lift=True)


def _caption(found: Standings, rival: str) -> str:
    return (
        "Test rows; mean and sample deviation over the seeds; best in bold, second best underlined; lift is the "
        f"difference, in hundredths, as in the paper. {_tests(found, rival)}"
    )


def _tests(found: Standings, rival: str) -> str:
    return (
        f"An asterisk: differs from {rival} with p < {1 - found.level:.2g} in both the paired bootstrap over "
        f"{found.groups} (of the mean over the seeds) and, with two or more seeds, the paired t-test over the seeds."
    )


def _frozen(cells: Iterable[list[str | int | Value]]) -> tuple[tuple[str | int | Value, ...], ...]:
    return tuple(tuple(row) for row in cells)
