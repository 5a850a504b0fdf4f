"""Tables of results: figures by scikit-learn, marks, and all forms; of an odd log with a domain of one class."""

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from data.errors import InputError
from models.config import ModelConfig
from models.metrics.bootstrap import Bootstrap
from models.training_config import TrainingConfig
from pipeline.compare.cell import Cell
from pipeline.compare.page import compare_page, summary_lines
from pipeline.compare.plan import ComparePlan
from pipeline.compare.results import Predictions, Results
from pipeline.compare.scheduler import Failure
from pipeline.compare.standings import RowGroups, Standings, standings
from pipeline.compare.table import Column, Table, Value, ranks
from pipeline.compare.table_formats import to_csv, to_latex, to_markdown
from pipeline.compare.tables import all_tables
from pipeline.compare.variants import Variants
from tests.pipeline.test_report_page import look

# Names that would break out of a page or a table; `overall` is a domain's name like any other.
DOMAINS = ("a_b & <i>", "overall", "one class", "empty")
PLAN = ComparePlan(
    models=("single_domain", "mmoe", "crocodile"), losses=("dot",), backbones=("crocodile",), ablation=True,
    sets=(2, 5), alphas=(0.01, 0.1), seeds=3, replicates=100,
)  # fmt: skip
OWN = ModelConfig()


def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    domains = rng.choice(np.array(DOMAINS[:3], object), 1500, p=[0.6, 0.3, 0.1])
    labels = rng.integers(0, 2, 1500).astype(np.uint8)
    labels[domains == "one class"] = 1
    users = np.array([f"user {number}" for number in rng.integers(0, 120, 1500)], object)
    return labels, users, domains


def scores(model: ModelConfig, seed: int, labels: np.ndarray) -> np.ndarray:
    strength = {"single_domain": 0.3, "mmoe": 0.9}.get(model.name, 1.8 if model.expert_loss.name == "cov" else 1.2)
    noise = np.random.default_rng(1).normal(size=labels.size) + 0.05 * np.random.default_rng(seed).normal(
        size=labels.size
    )
    return (1 / (1 + np.exp(-(noise + strength * (labels - 0.5))))).astype(np.float32)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Cell], Results]:
    """All trainings but one, which has not been there yet."""
    folder = Results(tmp_path_factory.mktemp("results"))
    labels, users, domains = rows()
    cells = [
        Cell(f"{number}-{seed}", variant.label, variant.model, TrainingConfig(seed=seed))
        for seed in range(PLAN.seeds)
        for number, variant in enumerate(Variants.of(PLAN, OWN).all())
    ]
    for cell in cells[:-1]:
        seed = cell.training.seed
        predictions = Predictions(labels, scores(cell.model, seed, labels), users, domains)
        folder.write(cell.key, {"test": {"overall": {}}, "seed": seed}, predictions)
    return cells, folder


@pytest.fixture(scope="module")
def found(results: tuple[list[Cell], Results]) -> Standings:
    return standings(*results, DOMAINS, Bootstrap(PLAN.replicates))


def test_groups_other_than_the_users(results: tuple[list[Cell], Results], found: Standings) -> None:
    cells, folder = results
    labels, users, _ = rows()
    hours = np.array([f"hour {number}" for number in np.random.default_rng(3).integers(0, 24, labels.size)], object)
    by_hour = standings(cells[:1], folder, DOMAINS, Bootstrap(20), 2, RowGroups(users, hours, "groups by hour"))
    (judged,) = by_hour.judged[cells[0].model]["overall"].values()
    mine = scores(cells[0].model, 0, labels)
    expected = sum(
        roc_auc_score(labels[hours == hour], mine[hours == hour]) * (hours == hour).sum() for hour in set(hours)
    )
    assert judged.summary["gauc"] == pytest.approx(expected / labels.size, abs=1e-9)
    assert judged.summary["users"] == 24 and found.groups == "users"
    assert "bootstrap over groups by hour" in all_tables(Variants.of(PLAN, OWN), by_hour)[0].caption
    with pytest.raises(InputError, match="its test rows are not those of the run"):
        standings(cells[:1], folder, DOMAINS, Bootstrap(20), 2, RowGroups(users[::-1], hours, "groups by hour"))


@pytest.fixture(scope="module")
def tables(found: Standings) -> dict[str, Table]:
    return {table.name: table for table in all_tables(Variants.of(PLAN, OWN), found)}


def cell(table: Table, row: str, column: str) -> object:
    names = [one.full for one in table.columns]
    return next(cells for cells in table.rows if cells[0] == row)[names.index(column)]


def test_every_table_that_was_asked_for_is_there(tables: dict[str, Table]) -> None:
    assert list(tables) == ["models", "transfer", "losses_crocodile", "ablation", "sets", "alpha", "significance"]


def test_means_and_deviations_are_scikit_learns(tables: dict[str, Table]) -> None:
    labels, _, domains = rows()
    for model in (PLAN.models[0], PLAN.models[2]):
        config = next(row.model for row in Variants.of(PLAN, OWN).models if row.label == model)
        slices = {DOMAINS[0]: domains == DOMAINS[0], "domain overall": domains == "overall", "overall": labels >= 0}
        for name, chosen in slices.items():
            aucs = [roc_auc_score(labels[chosen], scores(config, seed, labels)[chosen]) for seed in range(3)]
            value = cell(tables["models"], model, f"AUC {name}")
            assert isinstance(value, Value)
            assert (value.value, value.deviation) == pytest.approx((np.mean(aucs), np.std(aucs, ddof=1)), abs=1e-12)


def test_the_best_is_marked_and_tested_against_the_second(tables: dict[str, Table]) -> None:
    values = {model: cell(tables["models"], model, f"AUC {DOMAINS[0]}") for model in PLAN.models}
    assert {model: value.rank for model, value in values.items()} == {"single_domain": 0, "mmoe": 2, "crocodile": 1}
    assert [value.is_significant for value in values.values()] == [False, False, True]
    first = tables["significance"].rows[0]
    assert first[:4] == (f"domain {DOMAINS[0]}", "AUC", "crocodile", "mmoe") and first[-1] == "significant"


def test_a_domain_with_one_class_or_without_rows_is_a_dash(tables: dict[str, Table]) -> None:
    for domain in ("one class", "empty"):
        for metric in ("AUC", "gAUC"):
            value = cell(tables["models"], "crocodile", f"{metric} {domain}")
            assert isinstance(value, Value) and value.value is None and value.text == "-" and value.rank == 0
    assert cell(tables["transfer"], "mmoe", "gAUC change % empty").text == "-"  # type: ignore[attr-defined]


def test_a_lift_is_the_difference_of_the_means_in_hundredths(tables: dict[str, Table]) -> None:
    table = tables["losses_crocodile"]
    base, dot = (cell(table, row, "AUC") for row in ("base", "+dot"))
    assert isinstance(base, Value) and isinstance(dot, Value) and base.value is not None and dot.value is not None
    lift = cell(table, "+dot", "AUC lift %")
    assert isinstance(lift, Value) and lift.value == pytest.approx(dot.value - base.value)
    assert cell(table, "base", "AUC lift %").value is None  # type: ignore[attr-defined]
    assert cell(tables["sets"], 2, "AUC lift %").value > 0  # type: ignore[attr-defined, arg-type]


def test_a_training_that_is_missing_is_counted(results: tuple[list[Cell], Results], tables: dict[str, Table]) -> None:
    assert results[0][-1].label == "alpha: 0.01"
    assert cell(tables["alpha"], "0.01", "seeds") == 2
    assert cell(tables["alpha"], "0.1", "seeds") == 3


def test_who_pays_is_told_against_the_single_domain_model(found: Standings, tables: dict[str, Table]) -> None:
    assert cell(tables["transfer"], "crocodile", "domains, gAUC gained") == 2
    lines = summary_lines(Variants.of(PLAN, OWN), found)
    assert "Best overall gAUC: crocodile" in lines[0] and "by more than chance" in lines[0]
    assert (
        f"crocodile against a model for each domain: domains that gained {DOMAINS[0]}, overall; that paid -"
        in lines[-1]
    )


def test_csv_is_read_back_in_full(tables: dict[str, Table]) -> None:
    for table in tables.values():
        header, *lines = csv.reader(io.StringIO(to_csv(table)))
        assert len(lines) == len(table.rows) and len(set(header)) == len(header)
        assert all(len(line) == len(header) for line in lines)
    read = {row["model"]: row for row in csv.DictReader(io.StringIO(to_csv(tables["models"])))}
    value = cell(tables["models"], "crocodile", f"gAUC {DOMAINS[0]}")
    assert isinstance(value, Value)
    assert float(read["crocodile"][f"gAUC {DOMAINS[0]}"]) == value.value
    assert float(read["crocodile"][f"gAUC {DOMAINS[0]} deviation"]) == value.deviation
    assert read["crocodile"][f"gAUC {DOMAINS[0]} rank"] == "1"
    assert read["crocodile"]["AUC empty"] == ""


def test_markdown_and_latex_mark_and_escape() -> None:
    columns = (Column("model"), Column("a_b", "AUC"), Column("lift %"))
    cells = (
        ("m|1", Value(0.75, 0.01, 1, True), Value(0.0017, is_lift=True)),
        ("m_2", Value(0.5, None, 2), Value(None)),
    )
    table = Table("t", "A & B", "note 5 %", columns, cells)
    assert to_markdown(table).splitlines()[4:] == [
        "| model | AUC a_b | lift % |",
        "|---|---:|---:|",
        "| m\\|1 | **0.75000**\\* ± 0.01000 | +0.17 % |",
        "| m_2 | <u>0.50000</u> | - |",
    ]
    latex = to_latex(table)
    assert r"m|1 & \textbf{0.75000}$^*$ $\pm$ 0.01000 & +0.17\% \\" in latex
    assert r"m\_2 & \underline{0.50000} & - \\" in latex
    assert r"\caption{A \& B. note 5 \%}" in latex and r" & \multicolumn{1}{c}{AUC} & " in latex
    for line in latex.splitlines():
        assert not line.endswith(r"\\") or len(re.findall(r"(?<!\\)&", line)) == 2


def test_ranks() -> None:
    assert ranks([0.5, None, 0.7, 0.6, 0.7]) == [0, 0, 1, 0, 1]
    assert ranks([0.5, 0.7, 0.6]) == [0, 1, 2]
    assert ranks([0.5, 0.7, 0.6], higher_is_better=False) == [1, 0, 2]
    assert ranks([None, None]) == [0, 0]


def test_the_page_draws_every_plot(found: Standings, tables: dict[str, Table], tmp_path: Path) -> None:
    facts = {"config": {}, "git_commit": "abc", "compare": PLAN.model_dump(mode="json")}
    failure = Failure("mmoe: +dot <b>, seed 0", "no experts", tmp_path)
    page = compare_page("shop", Variants.of(PLAN, OWN), found, list(tables.values()), [failure], 1, facts)
    document, console = look(page, tmp_path, "--force-dark-mode")
    assert console == []
    # Figure 8 and alpha for two metrics, and the transfer.
    assert document.count('class="main-svg"') >= 5 and document.count("<table") == len(tables)
    assert re.search(r'<td class="best"[^>]*>0\.\d+\* ±', document) and 'class="second"' in document


def test_results_of_other_rows_and_broken_files_are_named(tmp_path: Path) -> None:
    folder, (labels, users, domains) = Results(tmp_path), rows()
    cells = [Cell(str(seed), "mmoe", OWN, TrainingConfig(seed=seed)) for seed in range(2)]
    for number, one in enumerate(cells):
        part = slice(number, None)
        predictions = Predictions(labels[part], scores(OWN, 0, labels)[part], users[part], domains[part])
        folder.write(one.key, {"test": {"overall": {}}, "seed": 0}, predictions)
    with pytest.raises(InputError, match="1: its test rows are not those of the other results"):
        standings(cells, folder, DOMAINS, Bootstrap(20))
    (tmp_path / "0.parquet").write_bytes(b"no table")
    with pytest.raises(InputError, match=r"0\.parquet: cannot be read"):
        standings(cells, folder, DOMAINS, Bootstrap(20))
    (tmp_path / "0.json").write_text(json.dumps({"seed": 0}))
    with pytest.raises(InputError, match=r"0\.json: not a result of `crocodile compare`"):
        folder.record("0")
