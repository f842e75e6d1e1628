/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page around a report's pictures. One file without scripts, fonts or pictures
 * from elsewhere; colours follow the reader's choice of light or dark.
 */
#include "monitor/control/study/report.h"

#include <string.h>

/*
 * Heat is one hue from faint to strong, so that the strong end stands out of the
 * page in both schemes; lines and nodes have hues that differ for readers who do
 * not see red and green as others do (Okabe and Ito's).
 */
static const char style[] =
	":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#59636e;"
	"--rule:#d8dee4;--card:#f6f8fa;"
	"--h0:#e3eefb;--h1:#c2dbf7;--h2:#98c1f0;--h3:#6ba3e5;--h4:#4383d4;"
	"--h5:#2763b8;--h6:#154693;--h7:#0a2c66;"
	"--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#b0428a;--c4:#8a6d00;"
	"--c5:#2a9fd6;--c6:#6b6b6b;--c7:#7a4fbf}\n"
	"@media(prefers-color-scheme:dark){:root{--bg:#12161b;--fg:#e6edf3;"
	"--dim:#9aa5b1;--rule:#30363d;--card:#1a2027;"
	"--h0:#16273c;--h1:#1a3658;--h2:#1f4a7d;--h3:#2a64a6;--h4:#3f83cc;"
	"--h5:#66a6e8;--h6:#9bc8f7;--h7:#dcecff;"
	"--c0:#56b4e9;--c1:#ff9a4d;--c2:#3ccf9f;--c3:#e48cc5;--c4:#e3c94b;"
	"--c5:#8fd3ff;--c6:#b0b0b0;--c7:#b79cf0}}\n"
	"*{box-sizing:border-box}body{margin:0 "
	"auto;max-width:74rem;padding:1rem;"
	"background:var(--bg);color:var(--fg);font:16px/1.5 "
	"system-ui,sans-serif}"
	"h1{font-size:1.5rem;line-height:1.3;margin:.5rem 0}"
	"h2{font-size:1.2rem;margin:2.2rem 0 .3rem;border-top:1px solid "
	"var(--rule);padding-top:1.2rem}"
	".lead{font-size:1.15rem;margin:.4rem 0 .6rem}.dim{color:var(--dim);"
	"font-size:.9rem;overflow-wrap:anywhere}"
	".grid{display:grid;gap:1rem;grid-template-columns:repeat(auto-fit,"
	"minmax(min(100%,26rem),1fr))}"
	"figure{margin:0;background:var(--card);border:1px solid var(--rule);"
	"border-radius:8px;padding:.7rem;min-width:0}"
	"figcaption{font-weight:600;margin-bottom:.3rem}figcaption span{"
	"display:block;font-weight:400;color:var(--dim);font-size:.88rem}"
	"svg{display:block;width:100%;height:auto}"
	"svg text{font:12px system-ui,sans-serif;fill:var(--fg)}"
	"svg .t{fill:var(--dim)}svg .g{stroke:var(--rule);stroke-width:1}"
	"svg .l{fill:none;stroke-width:2;stroke-linejoin:round}"
	".k{display:flex;flex-wrap:wrap;gap:.2rem .9rem;margin-top:.4rem;"
	"font-size:.86rem}.k i{display:inline-block;width:.9em;height:.9em;"
	"border-radius:2px;margin-right:.35em;vertical-align:-.1em;"
	"border:1px solid var(--rule)}"
	".w{overflow-x:auto;margin-top:1rem}table{border-collapse:collapse;"
	"font-size:.9rem;font-variant-numeric:tabular-nums;width:100%}"
	"th,td{padding:.3rem .6rem;text-align:right;border-bottom:1px solid "
	"var(--rule);white-space:nowrap}th:first-child,td:first-child{"
	"text-align:left}";

void report_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '<')
			(void)fputs("&lt;", out);
		else if (*text == '&')
			(void)fputs("&amp;", out);
		else if (*text == '"')
			(void)fputs("&quot;", out);
		else
			(void)fputc(*text, out);
	}
}

const char *report_number(double v, char buf[16])
{
	static const char units[] = " kMGT";
	unsigned u = 0;

	while (v >= 999.5 && units[u + 1]) {
		v /= 1000;
		u++;
	}
	(void)snprintf(buf, 12, v < 0.01 ? "%.2g" : "%.3g", v);
	if (u) {
		size_t len = strlen(buf);

		buf[len] = units[u];
		buf[len + 1] = '\0';
	}
	return buf;
}

void report_begin(FILE *out, const char *title)
{
	(void)fputs("<!DOCTYPE html>\n<html lang=\"en\"><head>"
		    "<meta charset=\"utf-8\"><meta name=\"viewport\" "
		    "content=\"width=device-width,initial-scale=1\"><title>",
		    out);
	report_text(out, title);
	(void)fprintf(out, "</title>\n<style>%s", style);
	for (unsigned i = 0; i < REPORT_LINES; i++)
		(void)fprintf(out,
			      ".h%u{fill:var(--h%u);background:var(--h%u)}"
			      ".c%u{fill:var(--c%u);background:var(--c%u)}"
			      ".l%u{stroke:var(--c%u);stroke-dasharray:%s}",
			      i, i, i, i, i, i, i, i, i % 2 ? "7 4" : "none");
	(void)fputs("</style></head>\n<body>\n", out);
}

void report_end(FILE *out)
{
	(void)fputs("</body></html>\n", out);
}

void report_time_axis(FILE *out, double left, double right, double bottom,
		      double seconds)
{
	static const char *const anchors[] = { "start", "middle", "middle",
					       "middle", "end" };
	char buf[16];

	for (unsigned i = 0; i <= 4; i++)
		(void)fprintf(out,
			      "<text x=\"%.0f\" y=\"%.0f\" class=\"t\" "
			      "text-anchor=\"%s\">%s s</text>",
			      left + (right - left) * i / 4, bottom + 16,
			      anchors[i], report_number(seconds * i / 4, buf));
	(void)fprintf(out,
		      "<text x=\"%.0f\" y=\"%.0f\" class=\"t\" "
		      "text-anchor=\"middle\">time</text>\n",
		      left + (right - left) / 2, bottom + 34);
}
