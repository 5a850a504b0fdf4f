"""A table as CSV, Markdown and LaTeX, by the ending of the file."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable

from pipeline.compare.table import Column, Table, Value

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip


def to_csv(table: Table) -> str:
    """Full precision; a figure's deviation, rank and significance are columns of their own."""
    columns = [_parts(table, i) for i in range(len(table.columns))]
    names: list[str] = []
    for column, parts in zip(table.columns, columns, strict=True):
        names += [column.full, *(f"{column.full} {part}" for part in parts)]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    for row in table.rows:
        cells: list[object] = []
        for cell, parts in zip(row, columns, strict=True):
            cells.append(_csv_value(cell) if isinstance(cell, Value) else cell)
            found = _csv_parts(cell) if isinstance(cell, Value) else dict.fromkeys(parts, "")
            cells += [found[part] for part in parts]
        writer.writerow(cells)
    return stream.getvalue()


def to_markdown(table: Table) -> str:
    """Best in bold, second best underlined, significance as an asterisk."""
    marks = {1: ("**", "**"), 2: ("<u>", "</u>")}
    lines = [f"## {table.title}", "", table.caption, ""]
    lines.append("| " + " | ".join(_markdown_text(column.full) for column in table.columns) + " |")
    lines.append("|" + "|".join("---" if i == 0 else "---:" for i in range(len(table.columns))) + "|")
    for row in table.rows:
        cells = []
        for cell in row:
            if not isinstance(cell, Value):
                cells.append(_markdown_text(str(cell)))
                continue
            before, after = marks.get(cell.rank, ("", ""))
            deviation = "" if cell.deviation is None else f" ± {cell.deviation:.5f}"
            star = "\\*" if cell.is_significant else ""
            cells.append(f"{before}{_with_unit(cell)}{after}{star}{deviation}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def to_latex(table: Table) -> str:
    """A table of booktabs: best in bold, second best underlined, significance as an asterisk."""
    marks = {1: "\\textbf{%s}", 2: "\\underline{%s}"}
    lines = [
        r"\begin{table}", r"\centering", f"\\caption{{{_latex_text(table.title)}. {_latex_text(table.caption)}}}",
        f"\\label{{tab:{table.name}}}", f"\\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}", r"\toprule",
    ]  # fmt: skip
    if any(column.group for column in table.columns):
        lines.append(_latex_groups(table.columns))
    lines.append(" & ".join(_latex_text(column.name) for column in table.columns) + r" \\")
    lines.append(r"\midrule")
    for row in table.rows:
        cells = []
        for cell in row:
            if not isinstance(cell, Value):
                cells.append(_latex_text(str(cell)))
                continue
            shown = marks.get(cell.rank, "%s") % _with_unit(cell).replace(" %", r"\%")
            deviation = "" if cell.deviation is None else f" $\\pm$ {cell.deviation:.5f}"
            cells.append(f"{shown}{'$^*$' if cell.is_significant else ''}{deviation}")
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


FORMATS: dict[str, Callable[[Table], str]] = {"csv": to_csv, "md": to_markdown, "tex": to_latex}
"""By the ending of the file."""


def _with_unit(cell: Value) -> str:
    return f"{cell.text} %" if cell.is_lift and cell.value is not None else cell.text


def _parts(table: Table, column: int) -> tuple[str, ...]:
    """Which parts of a column's figures are told besides the value."""
    figures = [cell for row in table.rows if isinstance(cell := row[column], Value)]
    if not figures or all(cell.is_lift for cell in figures):
        return ("significant",) if any(cell.is_significant is not None for cell in figures) else ()
    return ("deviation", "rank", "significant")


def _csv_value(cell: Value) -> str:
    return "" if cell.value is None else repr(100 * cell.value if cell.is_lift else cell.value)


def _csv_parts(cell: Value) -> dict[str, object]:
    return {
        "deviation": "" if cell.deviation is None else repr(cell.deviation),
        "rank": cell.rank or "",
        "significant": "" if cell.is_significant is None else int(cell.is_significant),
    }


def _markdown_text(text: str) -> str:
    return text.replace("|", "\\|")


def _latex_text(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _latex_groups(columns: tuple[Column, ...]) -> str:
    parts = []
    for group, members in itertools.groupby(columns, lambda column: column.group):
        width = len(list(members))
        parts.append(f"\\multicolumn{{{width}}}{{c}}{{{_latex_text(group)}}}" if group else " & ".join([""] * width))
    return " & ".join(parts) + r" \\"
