"""One self-contained HTML file: words, tables that sort, and plots, in the dark and in the light, without network."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

_STYLE = """
:root{color-scheme:light dark;--ink:#1d2430;--soft:#5b6675;--paper:#fff;--panel:#f4f6f9;--line:#d9dfe7;--good:#16794a;
--bad:#b3261e;--accent:#2357c5}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#a3adba;--paper:#12161c;--panel:#1b2129;--line:#333c48;
--good:#5fd39b;--bad:#ff8a80;--accent:#8ab0ff}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:68rem;margin:0 auto;padding:1rem}
h1{font-size:1.6rem;margin:.4rem 0}h2{font-size:1.2rem;margin:2rem 0 .5rem}
body{overflow-x:hidden}p{margin:.4rem 0;overflow-wrap:anywhere}
.soft{color:var(--soft)}.verdict{border-left:.4rem solid var(--soft);
background:var(--panel);padding:.6rem 1rem;border-radius:.3rem;font-size:1.1rem}.verdict.good{border-color:var(--good)}
.verdict.bad{border-color:var(--bad)}.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:.3rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{padding:.35rem .6rem;border-bottom:1px solid var(--line);
text-align:right;white-space:nowrap}th:first-child,td:first-child{text-align:left}th{background:var(--panel);cursor:pointer;
user-select:none}tr:last-child td{border-bottom:0}.plot{width:100%;max-width:100%;height:24rem}
button{font:inherit;font-size:.8rem;
color:var(--accent);background:none;border:1px solid var(--line);border-radius:.3rem;padding:.15rem .6rem;
cursor:pointer;margin:.3rem 0}
pre{overflow-x:auto;background:var(--panel);padding:.8rem;border-radius:.3rem;font-size:.8rem}
details{margin:.4rem 0}summary{cursor:pointer}td.best{font-weight:700}td.second{text-decoration:underline}
"""

_SCRIPT = """
function save(name,text){const a=document.createElement('a');
a.href=URL.createObjectURL(new Blob([text],{type:'text/plain'}));a.download=name;a.click();
setTimeout(()=>URL.revokeObjectURL(a.href),1000)}
document.querySelectorAll('table').forEach(table=>table.querySelectorAll('th').forEach((th,column)=>{let up=1;
th.addEventListener('click',()=>{const body=table.tBodies[0];const key=row=>{const cell=row.cells[column];
const value=cell.dataset.value;return value===undefined?cell.textContent:value};
const rows=[...body.rows].sort((a,b)=>{const x=key(a),y=key(b),m=Number(x),n=Number(y);
if(x===''||y==='')return (x==='')-(y==='');
return up*(isNaN(m)||isNaN(n)?String(x).localeCompare(String(y)):m-n)});up=-up;rows.forEach(row=>body.append(row))})}));
document.querySelectorAll('[data-csv]').forEach(button=>button.addEventListener('click',()=>{
const table=document.getElementById(button.dataset.csv);const quote=t=>'"'+t.replaceAll('"','""')+'"';
save(button.dataset.csv+'.csv',[...table.rows].map(r=>[...r.cells].map(c=>quote(c.dataset.value??c.textContent)).join(',')).join('\\n'))}));
const dark=matchMedia('(prefers-color-scheme: dark)');
function draw(){const css=getComputedStyle(document.documentElement);const ink=css.getPropertyValue('--ink').trim();
const line=css.getPropertyValue('--line').trim();
PLOTS.forEach(plot=>{const axis={gridcolor:line,zerolinecolor:line,automargin:true};
const layout=Object.assign({margin:{l:50,r:20,t:30,b:50},legend:{orientation:'h',y:-0.2}},plot.layout,
{paper_bgcolor:'rgba(0,0,0,0)',plot_bgcolor:'rgba(0,0,0,0)',font:{color:ink}});
layout.xaxis=Object.assign({},axis,plot.layout.xaxis);layout.yaxis=Object.assign({},axis,plot.layout.yaxis);
Plotly.newPlot(plot.id,plot.data,layout,{responsive:true,displaylogo:false})})}
draw();dark.addEventListener('change',draw);
document.querySelectorAll('[data-plot]').forEach(button=>button.addEventListener('click',()=>{
const plot=PLOTS.find(p=>p.id===button.dataset.plot);save(plot.id+'.json',JSON.stringify(plot.data,null,1))}));
"""


class HtmlPage:
    """A page that grows from top to bottom."""

    def __init__(self, title: str) -> None:
        """Begins a page.

        Args:
          title: Its title and first heading.
        """
        self._title = title
        self._parts = [f"<h1>{html.escape(title)}</h1>"]
        self._plots: list[dict[str, Any]] = []
        self._tables = 0

    def heading(self, text: str) -> None:
        """Adds a heading."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def text(self, text: str, soft: bool = False) -> None:
        """Adds a paragraph.

        Args:
          text: Plain text.
          soft: Whether it is set back.
        """
        self._parts.append(f"<p{' class=soft' if soft else ''}>{html.escape(text)}</p>")

    def verdict(self, text: str, good: bool) -> None:
        """Adds a sentence that stands out.

        Args:
          text: Plain text.
          good: Whether it is good news.
        """
        self._parts.append(f'<p class="verdict {"good" if good else "bad"}">{html.escape(text)}</p>')

    def details(self, summary: str, content: str) -> None:
        """Adds text that is folded away.

        Args:
          summary: What is seen.
          content: What is seen when it is unfolded, in fixed width.
        """
        self._parts.append(
            f"<details><summary>{html.escape(summary)}</summary><pre>{html.escape(content)}</pre></details>"
        )

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Adds a table that a click on a column sorts, and a button that saves it.

        Args:
          columns: Headings.
          rows: Cells: text, or numbers, or pairs of what is shown and what is sorted by, or such pairs with a mark,
            `best` or `second`; None is left empty.
        """
        self._tables += 1
        name = f"table{self._tables}"
        head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
        body = "".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in rows)
        self._parts.append(
            f'<div class=scroll><table id="{name}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
            f'<button data-csv="{name}">save as CSV</button>'
        )

    def plot(self, title: str, data: Sequence[Mapping[str, Any]], layout: Mapping[str, Any] | None = None) -> None:
        """Adds an interactive plot, and a button that saves its data.

        Args:
          title: What it shows.
          data: Plotly's traces.
          layout: Plotly's layout.
        """
        name = f"plot{len(self._plots) + 1}"
        self._plots.append({"id": name, "data": list(data), "layout": dict(layout or {})})
        self._parts.append(
            f'<h2>{html.escape(title)}</h2><div class=plot id="{name}"></div>'
            f'<button data-plot="{name}">save data as JSON</button>'
        )

    def render(self) -> str:
        """The whole file."""
        # `</script>` inside a string would end the script.
        plots = json.dumps(self._plots, allow_nan=False).replace("</", "<\\/")
        return (
            '<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content="width=device-width,'
            f'initial-scale=1"><link rel=icon href="data:,"><title>{html.escape(self._title)}</title>'
            f"<style>{_STYLE}</style></head><body><main>{''.join(self._parts)}</main>"
            f"<script>{get_plotlyjs()}</script><script>const PLOTS={plots};{_SCRIPT}</script></body></html>"
        )

    def write(self, path: Path) -> None:
        """Writes the file; it appears whole or not at all.

        Args:
          path: Where it goes.
        """
        unfinished = path.with_name(f".{path.name}.unfinished")
        unfinished.write_text(self.render(), encoding="utf-8")
        os.replace(unfinished, path)


def _cell(value: Any) -> str:
    shown, sorted_by, *marks = value if isinstance(value, tuple) else (value, value)
    if shown is None:
        return '<td data-value=""></td>'
    if isinstance(shown, float):
        shown = f"{shown:.4f}" if shown == 0 or abs(shown) >= 0.001 else f"{shown:.3g}"
    elif isinstance(shown, int):
        shown = f"{shown:,}"
    marked = f' class="{html.escape(" ".join(marks))}"' if any(marks) else ""
    return f'<td{marked} data-value="{html.escape(str(sorted_by))}">{html.escape(str(shown))}</td>'
