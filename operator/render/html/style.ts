/** The report's style sheet, embedded so that the file needs nothing else, for print and dark mode too. */
export const STYLE = `
:root{color-scheme:light dark;--paper:#fff;--card:#f6f7f9;--ink:#1b2330;--soft:#5a6474;--line:#d9dee6;--good:#1f8a5b;--calm:#3b76c4;--warn:#c57a0a;--bad:#c33b3b;--idle:#9aa4b2;
--s0:#3b76c4;--s1:#1f8a5b;--s2:#c57a0a;--s3:#8a56c2;--s4:#c0457f;--s5:#8b95a5}
@media (prefers-color-scheme:dark){:root{--paper:#11161d;--card:#1a212b;--ink:#e8ecf2;--soft:#a3adbb;--line:#313b48;--good:#4fc08d;--calm:#6fa5ec;--warn:#e5a445;--bad:#f07c7c;--idle:#6c7786;
--s0:#6fa5ec;--s1:#4fc08d;--s2:#e5a445;--s3:#b48ae6;--s4:#e582ae;--s5:#7f8a9a}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:54rem;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{font-size:1.7rem;line-height:1.25;margin:0 0 .35rem}
h2{font-size:1.15rem;margin:2.4rem 0 .7rem;padding-bottom:.3rem;border-bottom:1px solid var(--line)}
p{margin:.4rem 0}.soft{color:var(--soft)}code,pre{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:.87em}
.phase{display:inline-block;padding:.1rem .6rem;border-radius:1rem;border:1px solid currentColor;font-weight:600}
.phase.good{color:var(--good)}.phase.bad{color:var(--bad)}.phase.calm{color:var(--calm)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.7rem;margin:1.2rem 0 0;padding:0;list-style:none}
.cards li{background:var(--card);border-radius:.5rem;padding:.7rem .85rem}.cards b{display:block;font-size:1.35rem;line-height:1.2;overflow-wrap:anywhere}.cards span{color:var(--soft);font-size:.85rem}
.notice{border-left:4px solid var(--warn);background:var(--card);padding:.6rem .9rem;margin:1rem 0}
table{border-collapse:collapse;width:100%;margin:.6rem 0}th,td{text-align:left;vertical-align:top;padding:.35rem .6rem .35rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
thead th{color:var(--soft);font-weight:600;font-size:.85rem}th[scope=row]{font-weight:400;color:var(--soft);width:13rem}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.ranking .wide{width:55%;vertical-align:middle}.ranking .number{width:6rem}
.scroll{overflow-x:auto}pre{background:var(--card);border-radius:.5rem;padding:.8rem 1rem;white-space:pre-wrap;overflow-wrap:anywhere}
figure{margin:1rem 0 1.4rem}figcaption{font-weight:600;margin-bottom:.4rem}
svg.bar{display:block;width:100%;height:26px;border-radius:5px}svg.row{display:block;width:100%;height:8px}svg.chart{display:block;width:100%;height:auto}svg.key{width:.75em;height:.75em;margin-right:.45em}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.3rem;list-style:none;margin:.55rem 0 0;padding:0;font-size:.9rem}
.good{fill:var(--good)}.calm{fill:var(--calm)}.warn{fill:var(--warn)}.bad{fill:var(--bad)}.idle{fill:var(--idle)}
.series-0{fill:var(--s0)}.series-1{fill:var(--s1)}.series-2{fill:var(--s2)}.series-3{fill:var(--s3)}.series-4{fill:var(--s4)}.series-5{fill:var(--s5)}
.partial{opacity:.55}.unknown{fill:url(#hatch);stroke:var(--line)}.hatch{stroke:var(--line);stroke-width:3}
.rule{stroke:var(--line)}.moment{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:4 3}text{fill:var(--soft);font-size:12px}text.name{fill:var(--ink);font-size:13px}
svg.defs{position:absolute;width:0;height:0}
@media (max-width:36rem){svg.chart{min-width:36rem}.ranking .wide{width:35%}.ranking .number{width:4rem}main{padding:1.2rem .8rem 3rem}th[scope=row]{width:8.5rem}}
@media print{:root{color-scheme:light;--paper:#fff;--card:#f3f4f6;--ink:#000;--soft:#444;--line:#c8ccd2;--good:#1f8a5b;--calm:#3b76c4;--warn:#b56f06;--bad:#b42f2f;--idle:#9aa4b2;--s0:#3b76c4;--s1:#1f8a5b;--s2:#b56f06;--s3:#8a56c2;--s4:#c0457f;--s5:#8b95a5}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}main{max-width:none;padding:0}body{font-size:10.5pt}figure,tr,.cards{break-inside:avoid}h2{break-after:avoid}.scroll{overflow:visible}}
`;
