"""The page's one style sheet. Class colours: ten with the largest smallest distance in OKLab, in which distances are perceived
ones, among those of lightness 0.40 to 0.82 and chroma 0.06 to 0.20: 0.19, and 0.12 with red or green blindness (Machado 2009).
"""

STYLE = """
:root { --paper: #fff; --ink: #1c1e21; --soft: #63676d; --rule: #e3e5e8; --wash: #f5f6f7;
  --edge: #c3c7cc; --accent: #1f6fb2; --bad: #c8501e; --bar: #a9afb6; --pale: #cfd3d8; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #15171a; --ink: #e8e8e6; --soft: #9a9fa6; --rule: #2c3036; --wash: #1d2024;
    --edge: #454b52; --accent: #62aee8; --bad: #f0905a; --bar: #6b727a; --pale: #474d55; }
  .map .dots, .disc { filter: brightness(1.35); }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; -webkit-text-size-adjust: 100%; }
main { max-width: 1080px; margin: 0 auto; padding: 56px 32px 96px; }
.eyebrow { color: var(--accent); font-weight: 600; margin: 0 0 12px; }
h1 { font-size: clamp(26px, 4vw, 38px); line-height: 1.2; letter-spacing: -.015em; font-weight: 650; margin: 0;
  max-width: 27em; text-wrap: balance; }
.deck { font-size: clamp(17px, 2vw, 20px); line-height: 1.5; margin: 20px 0 0; max-width: 44em; }
.facts { color: var(--soft); margin: 20px 0 0; display: flex; flex-wrap: wrap; gap: 0 22px; }
.notice { border-left: 3px solid var(--bad); padding: 2px 0 2px 14px; margin: 24px 0 0; max-width: 44em; }
section { margin-top: 72px; }
h2 { font-size: 22px; line-height: 1.3; letter-spacing: -.01em; font-weight: 650; margin: 0 0 6px; }
h3 { font-size: 15px; font-weight: 600; margin: 0; }
.see { color: var(--soft); margin: 0 0 26px; max-width: 44em; text-wrap: pretty; }
code, pre { font: 14px/1.55 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  background: var(--wash); border-radius: 4px; }
code { padding: 1px 5px; overflow-wrap: anywhere; }
pre { padding: 14px 18px; margin: 0 0 32px; white-space: pre-wrap; overflow-wrap: anywhere; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font-size: 12px; fill: var(--soft); }
.copied { position: relative; }
.copied button { position: absolute; top: 8px; right: 8px; font: inherit; font-size: 13px; padding: 2px 10px;
  color: var(--soft); background: var(--paper); border: 1px solid var(--edge); border-radius: 4px; cursor: pointer; }
.copied pre { padding-right: 84px; }
.list td { overflow-wrap: anywhere; }
img { display: block; width: 100%; height: auto; border-radius: 3px; box-shadow: 0 0 0 1px var(--edge); }
img.small { image-rendering: pixelated; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 0; font-weight: inherit; vertical-align: middle; }

.probes tbody th { width: 190px; padding: 4px 16px 4px 0; color: var(--soft); }
.probes .group th { color: var(--ink); font-weight: 600; padding: 26px 0 6px; }
.probes .group span { color: var(--soft); font-weight: 400; margin-left: 10px; }
.probes tbody:first-of-type .group th { padding-top: 0; }
.probes .value, .probes .gain { width: 1%; white-space: nowrap; text-align: right; padding-left: 18px; }
.probes .value small { color: var(--soft); font-size: 13px; display: inline-block; min-width: 3.2em; text-align: left;
  padding-left: 6px; }
.probes .gain { color: var(--accent); font-weight: 600; min-width: 120px; }
.probes .gain span { font-weight: 400; }
.probes .worse { color: var(--bad); }
.probes .ours th, .probes .ours .value { color: var(--ink); font-weight: 600; }
.probes .ours small { font-weight: 400; }
.bar { position: relative; height: 18px; background: var(--wash); border-radius: 2px; }
.bar b { position: absolute; inset: 0 auto 0 0; background: var(--bar); border-radius: 2px; }
.pixels .bar b { background: var(--pale); }
.ours .bar b { background: var(--accent); }
.bar i { position: absolute; top: 8px; height: 2px; background: var(--ink); }

.views { display: grid; gap: 10px; }
.strip { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr); gap: 10px; align-items: start; }
.views .strip { max-width: calc(var(--n) * 128px); }
.views h3 { color: var(--soft); font-weight: 400; margin-top: 6px; }
.views h3:first-child { color: var(--ink); font-weight: 600; margin: 0; }

.tiles { display: grid; grid-template-columns: repeat(3, 1fr); gap: 4px; }
.views .strip img { width: calc(100% * var(--scale, 1)); }
.clips { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 32px 40px; }
.clips .strip { grid-auto-flow: row; grid-template-columns: repeat(var(--n), minmax(0, 1fr)); gap: 6px; }
.clips h3 { color: var(--soft); font-weight: 400; margin: 10px 0 4px; }
.clips .sound { height: 72px; image-rendering: auto; }
.prototypes { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 24px 40px; }
.prototypes h3 { margin-bottom: 6px; } .prototypes h3 span { color: var(--soft); font-weight: 400; margin-left: 8px; }
.prototypes .strip { gap: 7px; }

.neighbors { display: grid; grid-template-columns: 66px repeat(var(--times), 1fr); gap: 16px 40px; }
.neighbors > h3 { align-self: end; }
.neighbors h3 span { color: var(--soft); font-weight: 400; margin-left: 6px; }
.neighbors .query { text-align: center; font-weight: 600; font-size: 14px; line-height: 1.3; hyphens: auto;
  overflow-wrap: anywhere; }
.neighbors .query img { margin-bottom: 3px; }
.neighbors .strip { gap: 7px; max-width: 560px; }
.frame { position: relative; padding: 3px; border-radius: 5px; border: 2px solid transparent; }
.right { border-color: var(--accent); }
.wrong { border-color: var(--bad); border-style: dashed; }
.frame span { position: absolute; right: -4px; bottom: -7px; max-width: calc(100% + 8px); padding: 0 6px;
  border-radius: 9px; font-size: 12px; line-height: 18px; font-weight: 600; background: var(--bad); color: var(--paper);
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.key { display: inline-block; padding: 0 8px; line-height: 1.5; margin: 0 12px 8px 0; color: var(--soft);
  font-size: 14px; }

.looks { display: grid; grid-template-columns: 84px 1fr; gap: 10px 16px; align-items: center; }
.looks h3 { color: var(--soft); font-weight: 400; }
.looks .strip { max-width: calc(var(--n) * 112px); }
.heat { color: var(--soft); font-size: 14px; margin: 0 0 16px; }
.heat i { display: inline-block; width: 120px; height: 10px; margin: 0 10px; border-radius: 5px;
  background: linear-gradient(90deg, var(--pale), #ffb020); }

.maps { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr)); gap: 36px; }
.maps > div { max-width: 560px; }
.map { background: var(--wash); border-radius: 8px; margin-top: 10px; }
.map .dots { fill: none; stroke: currentColor; stroke-width: 5.5; stroke-linecap: round; stroke-opacity: .85; }
.map .square { stroke-linecap: square; }
.map .name { font-size: 17px; font-weight: 700; fill: var(--ink); text-anchor: middle; pointer-events: none; }
.map .long { font-size: 12px; font-weight: 600; }
.map .start { text-anchor: start; }
.map .end { text-anchor: end; }
.map g { transition: opacity .15s; }
.map:has(g:hover) g:not(:hover) { opacity: .12; }
.halo { paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round; }
.map .halo { stroke: var(--wash); }
.unlabelled { color: var(--bar); }

.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 290px), 1fr)); gap: 40px 36px; }
.curves figure { margin: 0; }
.curves h3 { display: flex; justify-content: space-between; }
.curves h3 span { font-weight: 400; }
.curves figcaption { color: var(--soft); font-size: 14px; line-height: 1.45; margin-top: 4px; }
.curve { fill: none; color: var(--accent); stroke: currentColor; stroke-width: 1.8; stroke-linejoin: round; }
.curves .dots { stroke-width: 6; stroke-linecap: round; }
.curve.run { stroke-width: .8; opacity: .5; }
.curves svg:has(g:hover) g:not(:hover) { opacity: .12; }
.second { stroke-dasharray: 5 2.5; } .third { stroke-dasharray: 1.6 2; }
.c0 { color: #0887f7; } .c1 { color: #bf2408; } .c2 { color: #6aa308; } .c3 { color: #78166a; }
.c4 { color: #e9bf24; } .c5 { color: #08786a; } .c6 { color: #cd4eb1; } .c7 { color: #40dbb1; }
.c8 { color: #0840b1; } .c9 { color: #bfa3f7; } .ink { color: var(--ink); }

.legend { display: flex; flex-wrap: wrap; gap: 4px 22px; margin: 0 0 26px; font-size: 14px; }
.disc { width: 11px; height: 11px; border-radius: 50%; background: currentColor; display: inline-block; margin-right: 7px; }
.disc.square { border-radius: 1px; }
.swatch { width: 26px; height: 10px; display: inline-block; vertical-align: baseline; margin-right: 8px; }
.swatch path { fill: none; stroke: currentColor; stroke-width: 4; }
.compared { margin-top: 26px; }
.compared tbody th { width: 300px; }
.compared .scale { display: flex; justify-content: space-between; color: var(--soft); font-size: 13px; }
.compared .bar b { width: 3px; margin-left: -1.5px; right: auto; border-radius: 1px; background: currentColor; }
.compared .bar i { background: currentColor; }
.compared .bar u { position: absolute; top: 5px; width: 8px; height: 8px; margin-left: -4px; border-radius: 50%;
  border: 1.5px solid currentColor; }
.grid { stroke: var(--rule); }
.reference { stroke: var(--soft); stroke-dasharray: 4 3; }
.end { text-anchor: end; }

details { border-top: 1px solid var(--rule); }
details:last-of-type { border-bottom: 1px solid var(--rule); }
summary { cursor: pointer; padding: 12px 0; font-weight: 600; }
.list { margin: 0 0 18px; }
.list th, .list td { padding: 5px 0; border-top: 1px solid var(--rule); vertical-align: top; overflow-wrap: anywhere; }
.list th { width: 320px; color: var(--soft); padding-right: 18px; }

@media (max-width: 640px) {
  main { padding: 32px 18px 64px; }
  section { margin-top: 56px; }
  .probes tbody th { width: 92px; padding-right: 8px; font-size: 14px; line-height: 1.3; }
  .probes .ours th { white-space: nowrap; }
  .probes .group th { font-size: 16px; }
  .probes .value { padding-left: 10px; } .probes .gain { padding-left: 10px; min-width: 0; }
  .probes .value small, .probes .gain span { display: none; }
  .probes .group span { display: block; margin: 0; font-size: 14px; }
  .views, .views .strip, .looks .strip { gap: 5px; }
  .looks { grid-template-columns: 1fr; gap: 3px; }
  .looks h3 { margin-top: 6px; }
  .neighbors { grid-template-columns: 60px 1fr; gap: 6px 14px; }
  .neighbors > h3 { grid-column: 1 / -1; }
  .neighbors > h3:first-child { display: none; }
  .neighbors > h3:nth-child(3) { margin-bottom: 14px; }
  .time::before { content: attr(data-time); color: var(--soft); font-size: 12px; line-height: 1.6; display: block; }
  .neighbors .query { grid-row: span var(--times); font-size: 12px; }
  .neighbors .last { margin-bottom: 18px; }
  .list th { width: 130px; }
  .compared tbody th { width: 130px; }
  .compared .value small { display: block; padding: 0; }
}
"""
