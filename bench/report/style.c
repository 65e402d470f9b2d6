/* SPDX-License-Identifier: MIT */
#include "report/html.h"

/* Curves and bars carry a title each: no one needs to tell the colours apart. */
static const char style[] =
	"<style>\n"
	":root { color-scheme: light dark; --paper: #ffffff; --ink: #1b1f24; --soft: #57606a;\n"
	"  --rule: #d0d7de; --c0: #0b62c4; --c1: #b54a00; --c2: #1a7f37; --c3: #8250df;\n"
	"  --c4: #c0245f; --c5: #00767f; --c6: #7a5c00; --c7: #5b6bbf; --c8: #a33b9e;\n"
	"  --c9: #6e7781; }\n"
	"@media (prefers-color-scheme: dark) { :root { --paper: #0f1318; --ink: #e6edf3;\n"
	"  --soft: #9aa5b1; --rule: #30363d; --c0: #58a6ff; --c1: #f0883e; --c2: #56d364;\n"
	"  --c3: #bc8cff; --c4: #ff7ba6; --c5: #39c5cf; --c6: #d9b44a; --c7: #9aa8ff;\n"
	"  --c8: #e58be0; --c9: #a9b3bd; } }\n"
	"* { box-sizing: border-box; }\n"
	"body { margin: 0; background: var(--paper); color: var(--ink);\n"
	"  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }\n"
	"main { max-width: 76rem; margin: 0 auto; padding: 1rem; }\n"
	"h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; }\n"
	"h2 { font-size: 1.25rem; margin: 2rem 0 .5rem; border-top: 1px solid var(--rule);\n"
	"  padding-top: 1rem; }\n"
	"h3 { font-size: 1rem; margin: 0 0 .25rem; }\n"
	"p { margin: .5rem 0; max-width: 45rem; }\n"
	"a { color: var(--c0); }\n"
	".verdict { font-size: 1.1rem; }\n"
	".soft { color: var(--soft); font-size: .9rem; }\n"
	".grid { display: grid; gap: 2rem 2.5rem;\n"
	"  grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); }\n"
	".grid > * { min-width: 0; }\n"
	"svg { display: block; width: 100%; max-width: 34rem; height: auto; }\n"
	"svg text { fill: var(--ink); font: 11px system-ui, sans-serif; }\n"
	"svg .soft { fill: var(--soft); font-size: 10px; }\n"
	"svg .ours { font-weight: 600; }\n"
	"svg .rule { stroke: var(--rule); stroke-width: 1; }\n"
	"svg .whisker { stroke: var(--ink); stroke-width: 1.2; }\n"
	"svg polyline { fill: none; stroke-width: 1.8; stroke-linejoin: round; }\n"
	"svg .spread { stroke-width: 1; opacity: .6; }\n"
	".table { overflow-x: auto; }\n"
	"table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }\n"
	"th, td { padding: .2rem .6rem; border-bottom: 1px solid var(--rule); text-align: right;\n"
	"  white-space: nowrap; vertical-align: top; }\n"
	"th:first-child, td:first-child { text-align: left; padding-left: 0; }\n"
	".facts td, .facts th { text-align: left; white-space: normal; }\n"
	".samples { font-size: .75rem; color: var(--soft); margin: .2rem 0 .6rem; max-width: none; }\n"
	"details { margin: .5rem 0; } summary { cursor: pointer; }\n";

void html_style(FILE *file)
{
	fputs(style, file);
	for (int i = 0; i < HTML_COLOURS; i++)
		fprintf(file, ".c%d { stroke: var(--c%d); } .f%d { fill: var(--c%d); }\n", i, i, i,
			i);
	fputs("</style>\n", file);
}
