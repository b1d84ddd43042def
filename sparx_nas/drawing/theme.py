"""The colours and style sheets shared by the drawings, the charts and the report.

The five hues have a contrast of 3:1 or more on white and on near black, and none carries a
meaning that a shape or a dash does not carry as well.
"""

_LIGHT = (
    "--sx-ink:#15191e;--sx-muted:#59636e;--sx-line:#dfe3e8;--sx-paper:#ffffff;--sx-panel:#f6f7f9;"
    "--sx-blue:#0072B2;--sx-green:#009E73;--sx-red:#D55E00;--sx-pink:#CC79A7;--sx-grey:#767676;"
    "--sx-link:#0067a3;--sx-rust:#ad4b00;"
)
_DARK = (
    "--sx-ink:#eceff2;--sx-muted:#a3adb8;--sx-line:#2c333b;--sx-paper:#111418;--sx-panel:#191e24;"
    "--sx-link:#5fb3e6;--sx-rust:#f0904a;"
)
THEME_CSS = (
    f":root{{{_LIGHT}}}"
    f"@media screen and (prefers-color-scheme:dark){{:root{{{_DARK}}}}}"
    ".sx{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif;"
    "max-width:100%;height:auto}"
    ".sx text{fill:var(--sx-ink);font-size:12px}"
)
WIRING_CSS = """
.sx-wiring path{fill:none;stroke-linecap:round;stroke-linejoin:round}
.sx-wiring .sx-title{font-size:15px;font-weight:600}
.sx-wiring .sx-stage{font-size:12.5px;font-weight:600}
.sx-wiring .sx-shape,.sx-wiring .sx-number,.sx-wiring .sx-legend text{fill:var(--sx-muted)}
.sx-wiring .sx-shape{font-size:11px}
.sx-wiring .sx-number,.sx-wiring .sx-side{font-size:9.5px;text-anchor:middle}
.sx-wiring .sx-side{font-size:11px;font-weight:600}
.sx-wiring .sx-said{fill:var(--sx-muted)}
.sx-wiring .sx-chain{stroke:var(--sx-grey);stroke-width:1.8}
.sx-wiring .sx-downsample{stroke:var(--sx-grey);stroke-width:1.2;stroke-dasharray:1 4}
.sx-wiring .sx-chevron{stroke:var(--sx-grey);stroke-width:1.4}
.sx-wiring .sx-aggregate{stroke-width:1.7}
.sx-wiring .sx-many .sx-aggregate{stroke-width:1}
.sx-wiring .sx-from-normal.sx-aggregate{stroke:var(--sx-blue)}
.sx-wiring .sx-from-ganglion.sx-aggregate{stroke:var(--sx-red)}
.sx-wiring .sx-from-input.sx-aggregate{stroke:var(--sx-green);stroke-dasharray:5 3.5}
.sx-wiring .sx-normal{fill:var(--sx-paper);stroke:var(--sx-blue);stroke-width:2}
.sx-wiring .sx-ganglion{fill:var(--sx-red);stroke:var(--sx-paper);stroke-width:1.5}
.sx-wiring .sx-input{fill:var(--sx-paper);stroke:var(--sx-green);stroke-width:2}
.sx-wiring .sx-layer:hover .sx-number{fill:var(--sx-ink);font-weight:700}
.sx-wiring .sx-unpainted.sx-aggregate{stroke:var(--sx-grey)}
.sx-wiring .sx-age-0.sx-aggregate{stroke:#664fd8}
.sx-wiring .sx-age-1.sx-aggregate{stroke:#b33fb2;stroke-dasharray:9 3;stroke-linecap:butt}
.sx-wiring .sx-age-2.sx-aggregate{stroke:#e23e65;stroke-dasharray:5 4;stroke-linecap:butt}
.sx-wiring .sx-age-3.sx-aggregate{stroke:#dc7100;stroke-dasharray:2 3;stroke-linecap:butt}
.sx-wiring .sx-share-0.sx-aggregate{stroke:#664fd8;stroke-width:1}
.sx-wiring .sx-share-1.sx-aggregate{stroke:#a342c0;stroke-width:1.7}
.sx-wiring .sx-share-2.sx-aggregate{stroke:#cf3b8f;stroke-width:2.6}
.sx-wiring .sx-share-3.sx-aggregate{stroke:#e8444d;stroke-width:3.7}
.sx-wiring .sx-share-4.sx-aggregate{stroke:#dc7100;stroke-width:5}
.sx-wiring .sx-neutral.sx-aggregate{stroke:var(--sx-grey);stroke-width:1.5}
.sx-wiring .sx-unmeasured.sx-aggregate{stroke:var(--sx-grey);stroke-width:1;stroke-dasharray:3 3}
.sx-wiring .sx-same.sx-aggregate{stroke:var(--sx-grey);stroke-width:1}
.sx-wiring .sx-added.sx-aggregate{stroke:var(--sx-blue)}
.sx-wiring .sx-removed.sx-aggregate{stroke:var(--sx-red);stroke-dasharray:7 4;stroke-linecap:butt}
.sx-wiring .sx-w1.sx-aggregate{stroke-width:1}
.sx-wiring .sx-w2.sx-aggregate{stroke-width:2}
.sx-wiring .sx-w3.sx-aggregate{stroke-width:3}
.sx-wiring .sx-w4.sx-aggregate{stroke-width:4}
.sx-wiring .sx-w5.sx-aggregate{stroke-width:5}
.sx-wiring .sx-w6.sx-aggregate{stroke-width:6}
.sx-wiring .sx-many .sx-w2,.sx-wiring .sx-many .sx-share-1{stroke-width:1}
.sx-wiring .sx-many .sx-w3,.sx-wiring .sx-many .sx-share-2{stroke-width:1.5}
.sx-wiring .sx-many .sx-w4,.sx-wiring .sx-many .sx-share-3{stroke-width:2}
.sx-wiring .sx-many .sx-w5{stroke-width:2.5}
.sx-wiring .sx-many .sx-w6,.sx-wiring .sx-many .sx-share-4{stroke-width:3}
.sx-wiring .sx-aggregate:hover{stroke-width:4}
.sx-matrix .sx-cell{fill:none;stroke:var(--sx-grey);stroke-width:.8;pointer-events:all}
.sx-matrix .sx-cell.sx-filled{fill:var(--sx-blue);stroke:var(--sx-blue)}
.sx-matrix .sx-beyond .sx-cell{stroke-dasharray:2 2}
.sx-matrix .sx-half{stroke-linejoin:round}
.sx-matrix .sx-half.sx-same{fill:var(--sx-grey)}
.sx-matrix .sx-half.sx-added{fill:var(--sx-blue)}
.sx-matrix .sx-half.sx-removed{fill:var(--sx-red)}
.sx-matrix .sx-dot{fill:var(--sx-paper);stroke:var(--sx-grey);stroke-width:1.3}
.sx-matrix .sx-row{fill:var(--sx-muted);font-size:9.5px;text-anchor:end}
.sx-matrix .sx-possible:hover .sx-cell{stroke:var(--sx-ink);stroke-width:2}
.sx-wiring .sx-w4:hover,.sx-wiring .sx-w5:hover,.sx-wiring .sx-w6:hover{stroke-width:8}
"""
CHART_CSS = """
.sx-chart .sx-grid{stroke:var(--sx-line);stroke-width:1}
.sx-chart .sx-axis{stroke:var(--sx-grey);stroke-width:1}
.sx-chart .sx-tick{fill:var(--sx-muted)}
.sx-chart .sx-axis-title{font-weight:600;font-size:12px}
.sx-chart .sx-mid{text-anchor:middle}
.sx-chart .sx-end{text-anchor:end}
.sx-chart .sx-bar{fill:none;stroke:var(--sx-grey);stroke-width:1.2}
.sx-chart .sx-step{fill:none;stroke:var(--sx-blue);stroke-width:1.6;stroke-opacity:.8}
.sx-chart .sx-point{stroke-width:1.6;stroke:var(--sx-grey);fill:var(--sx-paper)}
.sx-chart .sx-point.sx-front{fill:var(--sx-blue);stroke:var(--sx-paper)}
.sx-chart .sx-point.sx-baseline{fill:var(--sx-paper);stroke:var(--sx-red);stroke-width:2}
.sx-chart .sx-point.sx-baseline.sx-front{fill:var(--sx-red);stroke:var(--sx-paper)}
.sx-chart .sx-point.sx-infeasible{fill:none;stroke:var(--sx-pink);stroke-width:1.8}
.sx-chart .sx-point.sx-infeasible.sx-baseline{fill:var(--sx-paper);stroke-dasharray:3 2}
.sx-chart a:hover .sx-point,.sx-chart a:focus .sx-point{stroke:var(--sx-ink)}
.sx-chart .sx-label{font-size:11px;fill:var(--sx-muted)}
.sx-chart .sx-name{font-weight:600}
.sx-chart .sx-curve{fill:none;stroke-linecap:round;stroke-linejoin:round}
.sx-chart .sx-curve.sx-dominated{stroke:var(--sx-grey);stroke-opacity:.35;stroke-width:1.2}
.sx-chart .sx-curve.sx-front{stroke:var(--sx-blue);stroke-width:2}
.sx-chart .sx-curve.sx-baseline{stroke:var(--sx-red);stroke-width:2;stroke-dasharray:6 3}
.sx-chart .sx-curve:hover{stroke-width:4;stroke-opacity:1}
@media (max-width:600px){.sx-chart .sx-tick,.sx-chart .sx-axis-title,.sx-chart .sx-name,
.sx-chart .sx-label{font-size:16px}}
"""
REPORT_CSS = """
*{box-sizing:border-box}
html{color-scheme:light dark;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--sx-paper);color:var(--sx-ink);
font:16px/1.6 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif}
main{max-width:1080px;margin:0 auto;padding:48px 24px 72px}
h1{font-size:clamp(25px,4.2vw,34px);line-height:1.2;letter-spacing:-.015em;margin:4px 0 10px;
overflow-wrap:anywhere}
h2{font-size:21px;letter-spacing:-.01em;margin:56px 0 6px;line-height:1.3}
h3{font-size:16px;margin:0;line-height:1.35}
p{margin:8px 0;max-width:72ch;overflow-wrap:anywhere}
a{color:var(--sx-link);text-underline-offset:2px}
a:focus-visible,summary:focus-visible{outline:2px solid var(--sx-blue);outline-offset:2px}
.over{font-size:13px;color:var(--sx-muted);font-weight:600;margin:0}
.muted,.note{color:var(--sx-muted)}
.note{font-size:14px}
.facts{display:flex;flex-wrap:wrap;gap:4px 28px;margin:14px 0 0;padding:0;font-size:14px}
.facts div{display:flex;gap:8px;min-width:0}
.facts dt{color:var(--sx-muted);white-space:nowrap}
.facts dd{margin:0;overflow-wrap:anywhere;min-width:0}
.lead{font-size:19px;line-height:1.5;margin:30px 0 8px;max-width:66ch}
.group{margin-top:32px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:1px;
margin:26px 0 0;border:1px solid var(--sx-line);border-radius:10px;
overflow:hidden}
.tile{box-shadow:0 0 0 1px var(--sx-line);padding:14px 18px 16px}
.tile b{display:block;font-size:25px;line-height:1.25;letter-spacing:-.015em;font-weight:650}
.tile span{font-size:13px;color:var(--sx-muted);display:block;line-height:1.4}
figure{margin:18px 0 0;display:grid;grid-template-columns:minmax(0,1fr);gap:14px 36px}
figure>.sx-chart{width:100%;max-width:820px;display:block}
.key{list-style:none;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:5px 18px;font-size:13.5px;
color:var(--sx-muted);max-width:none}
.key li{display:flex;align-items:center;gap:8px;margin:0}
.key svg{flex:none}
@media (min-width:960px){figure{grid-template-columns:minmax(0,1fr) 236px}
figure .key{flex-direction:column;flex-wrap:nowrap;justify-content:center}}
figcaption{font-size:14px;color:var(--sx-muted);margin-top:8px;max-width:76ch}
.scroll{overflow-x:auto;-webkit-overflow-scrolling:touch}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,440px),1fr));gap:18px;
margin:18px 0 0}
.card{border:1px solid var(--sx-line);border-radius:10px;padding:16px 18px 14px;min-width:0;
display:flex;flex-direction:column;scroll-margin-top:16px}
.card:target,tr:target{outline:2px solid var(--sx-blue);outline-offset:-1px}
.card.wide{grid-column:1/-1}
.card header{display:flex;flex-wrap:wrap;gap:4px 8px;align-items:center;margin-bottom:10px}
.card .scroll{margin:14px 0 6px;flex:1}
.card .sx-wiring{min-width:300px}
.card.wide .sx-wiring{min-width:620px}
.badge{font-size:12px;line-height:1;padding:4px 8px;border-radius:99px;
border:1px solid var(--sx-line);color:var(--sx-muted);white-space:nowrap;font-weight:600}
.badge.front{color:var(--sx-link);border-color:currentColor}
.badge.best{background:var(--sx-ink);border-color:var(--sx-ink);color:var(--sx-paper)}
.badge.baseline{color:var(--sx-rust);border-color:currentColor}
.numbers{display:grid;grid-template-columns:repeat(auto-fill,minmax(122px,1fr));gap:8px 16px;
margin:0}
.numbers dt{font-size:12.5px;color:var(--sx-muted);line-height:1.35}
.numbers dd{margin:0;font-weight:600;font-variant-numeric:tabular-nums;line-height:1.35}
.numbers dd small{display:block;font-weight:400;color:var(--sx-muted);font-size:12.5px}
.ids{font-size:12.5px;color:var(--sx-muted);margin:6px 0 0}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;
font-size:.88em}
pre{background:var(--sx-panel);border:1px solid var(--sx-line);border-radius:8px;padding:12px 14px;
overflow-x:auto;margin:6px 0 14px;line-height:1.55}
.table{border:1px solid var(--sx-line);border-radius:10px;margin:18px 0 0;max-height:640px;
overflow:auto}
table{border-collapse:separate;border-spacing:0;width:100%;font-size:13.5px;
font-variant-numeric:tabular-nums}
th,td{padding:7px 12px;text-align:left;white-space:nowrap;border-bottom:1px solid var(--sx-line);
vertical-align:top;line-height:1.45}
tbody tr:last-child td,tbody tr:last-child th{border-bottom:0}
thead th{position:sticky;top:0;background:var(--sx-panel);font-weight:600;z-index:1;
vertical-align:bottom}
tbody th{font-weight:600}
td.n,th.n{text-align:right}
td.says{white-space:normal;min-width:340px;overflow-wrap:anywhere}
tr.front th,tr.front td{background:color-mix(in srgb,var(--sx-blue) 9%,transparent)}
td .badge{padding:3px 7px}
ul{margin:8px 0;padding-left:20px;max-width:72ch}
li{margin:5px 0}
details{margin:14px 0 0}
summary{cursor:pointer;font-weight:600}
.tree{margin:4px 0 4px 2px;padding:0 0 0 14px;border-left:1px solid var(--sx-line);font-size:13.5px}
.tree dt{color:var(--sx-muted)}
.tree dd{margin:0 0 4px 0;overflow-wrap:anywhere}
footer{margin-top:56px;padding-top:16px;border-top:1px solid var(--sx-line);font-size:13.5px;
color:var(--sx-muted)}
@media (max-width:600px){main{padding:28px 16px 48px}h2{margin-top:44px}.lead{font-size:17px}
.card{padding:14px}.tile{padding:12px 14px}.tile b{font-size:21px}}
@media print{main{max-width:none;padding:0}.table{max-height:none;overflow:visible;border:0}
table{font-size:8.5px}th,td{padding:2px 4px;white-space:normal}td.says{min-width:90px}
thead th{position:static}.card,figure{break-inside:avoid}h2{break-after:avoid}
pre{white-space:pre-wrap}
details>*{display:block}}
"""
