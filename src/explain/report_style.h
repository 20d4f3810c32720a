/* explain/report_style.h: the looks of our pages, light and dark; includes nothing.
 *
 * Colours of the series are those of Okabe and Ito (2008), which colour-blind readers can tell apart. */
#ifndef EXPLAIN_REPORT_STYLE_H
#define EXPLAIN_REPORT_STYLE_H

#define REPORT_STYLE                                                                                                   \
  ":root{color-scheme:light dark;--ground:#fff;--panel:#f6f7f9;--ink:#1c2430;--soft:#5b6675;--line:#dde2e8;"           \
  "--good:#00704d;--bad:#b3261e;--s0:#8fa3b8;--s1:#0072b2;--s2:#e69f00;--s3:#009e73;--s4:#cc79a7;--s5:#d55e00}"        \
  "@media(prefers-color-scheme:dark){:root{--ground:#14181e;--panel:#1c222a;--ink:#e8ecf1;--soft:#9aa7b6;"             \
  "--line:#313a45;--good:#4fc99a;--bad:#ff8a80;--s0:#5f7389;--s1:#56b4e9;--s2:#f0b73d;--s3:#35c796;--s4:#e29cc4;"      \
  "--s5:#ff8f4d}}"                                                                                                     \
  "*{box-sizing:border-box}body{margin:0 auto;max-width:76rem;padding:2rem 1.25rem 4rem;background:var(--ground);"     \
  "color:var(--ink);font:16px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,\"Noto Sans\",sans-serif}"               \
  "h1{font-size:1.75rem;line-height:1.2;margin:0 0 .25rem}h2{font-size:1.2rem;margin:2.5rem 0 .5rem}"                  \
  "p{max-width:62rem;margin:.4rem 0}.soft,caption,figcaption{color:var(--soft)}"                                       \
  ".facts{display:flex;flex-wrap:wrap;gap:.5rem;margin:1rem 0;padding:0}"                                              \
  ".facts li{list-style:none;background:var(--panel);border-radius:.5rem;padding:.5rem .9rem}"                         \
  ".facts b{display:block;font-size:1.1rem;font-variant-numeric:tabular-nums}.facts span{color:var(--soft);"           \
  "font-size:.85rem}"                                                                                                  \
  ".scroll{overflow-x:auto;border:1px solid var(--line);border-radius:.5rem}"                                          \
  "table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}"                       \
  "caption{text-align:left;padding:.5rem .75rem;caption-side:bottom;font-size:.85rem}"                                 \
  "th,td{padding:.4rem .75rem;text-align:right;white-space:nowrap;border-top:1px solid var(--line)}"                   \
  "thead th{border-top:0;color:var(--soft);font-weight:600}tbody th,thead th:first-child{text-align:left}"             \
  "tbody th{position:sticky;left:0;background:var(--ground)}tr.main th,tr.main td{background:var(--panel);"            \
  "font-weight:600}td small{display:block;color:var(--soft);font-weight:400;font-size:.75rem}td.text{text-align:left;" \
  "white-space:normal}.best{text-decoration:underline;text-decoration-thickness:2px;text-underline-offset:3px}"        \
  ".good{color:var(--good)}.bad{color:var(--bad)}"                                                                     \
  ".plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(21rem,1fr));gap:1rem}"                            \
  "figure{margin:0;background:var(--panel);border-radius:.5rem;padding:.9rem;overflow-x:auto}"                         \
  "figure.wide{max-width:52rem}figcaption{font-size:.85rem;margin-top:.4rem}"                                          \
  "svg.plot{display:block;max-width:100%;height:auto;font:12px system-ui,-apple-system,\"Segoe UI\",Roboto,"           \
  "\"Noto Sans\",sans-serif}.plot text{fill:var(--ink)}.plot .tick,.plot .label{fill:var(--soft)}"                     \
  ".plot .title{fill:var(--ink);font-weight:600;font-size:13px}.plot .grid{stroke:var(--line)}"                        \
  ".plot .axis,.plot .whisker{stroke:var(--ink)}.plot .whisker{stroke-width:1.2}.plot .tick{font-size:11px}"           \
  ".s0{fill:var(--s0)}.s1{fill:var(--s1)}.s2{fill:var(--s2)}.s3{fill:var(--s3)}.s4{fill:var(--s4)}.s5{fill:var(--s5)}" \
  ".l0{stroke:var(--s0)}.l1{stroke:var(--s1)}.l2{stroke:var(--s2)}.l3{stroke:var(--s3)}.l4{stroke:var(--s4)}"          \
  ".l5{stroke:var(--s5)}polyline{stroke-width:2}"                                                                      \
  ".key{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin:0 .3em 0 .8em}"                           \
  ".k1{background:var(--s1)}.k2{background:var(--s2)}.k0{background:var(--s0)}"                                        \
  ".k3{background:var(--s3)}.k4{background:var(--s4)}.k5{background:var(--s5)}"                                        \
  "dl{max-width:62rem}dt{font-weight:600;margin-top:.5rem}dd{margin:0;color:var(--soft)}"                              \
  "@media print{body{max-width:none}figure,.scroll{break-inside:avoid}}"

#endif
