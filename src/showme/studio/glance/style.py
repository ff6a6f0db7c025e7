"""The look of the tab: its own colours, so that contrast holds in any theme, light and dark."""

STYLE = """<style>
.glance { --ink: #1c1c22; --soft: #5b5b66; --card: #fff; --line: #d9d9de; --c0: #4338ca; --c1: #b83a06; --c2: #0b6b60;
  --c3: #9d174d; --c4: #475569; color: var(--ink); font-size: 14px; line-height: 1.5; }
.dark .glance { --ink: #ececf1; --soft: #b0b0bb; --card: #1c1c21; --line: #3a3a43; --c0: #a5b4fc; --c1: #fb923c;
  --c2: #2dd4bf; --c3: #f472b6; --c4: #cbd5e1; }
.glance * { box-sizing: border-box; }
.glance bdi { overflow-wrap: anywhere; }
.glance p { margin: 6px 0 0; color: var(--soft); font-size: 13px; }
.glance h3 { margin: 0 0 8px; font-size: 16px; font-weight: 600; color: var(--ink); }
.glance .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px;
  min-width: 0; }
.glance .cards { display: grid; gap: 12px; margin-top: 12px;
  grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr)); }
.glance dl { display: grid; gap: 8px 20px; margin: 0; grid-template-columns: repeat(auto-fill, minmax(130px, 1fr)); }
.glance dt { color: var(--soft); font-size: 13px; } .glance dd { margin: 0; font-variant-numeric: tabular-nums; }
.glance dd.state { font-weight: 600; }
.glance figure { margin: 0; } .glance figcaption { font-size: 16px; font-weight: 600; }
.glance .area { display: grid; grid-template-columns: 52px 1fr; grid-template-rows: 200px 22px; margin: 10px 20px 0 0; }
.glance .wide .area { grid-template-rows: 280px 22px; }
.glance .area svg { grid-column: 2; grid-row: 1; width: 100%; height: 100%; overflow: visible; display: block; }
.glance .heights { grid-column: 1; grid-row: 1; } .glance .steps { grid-column: 2; grid-row: 2; }
.glance .heights, .glance .steps { position: relative; color: var(--soft); font-size: 12px; line-height: 1;
  font-variant-numeric: tabular-nums; }
.glance .heights span { position: absolute; right: 8px; transform: translateY(50%); white-space: nowrap; }
.glance .steps span { position: absolute; top: 8px; transform: translateX(-50%); white-space: nowrap; }
.glance path { fill: none; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round;
  vector-effect: non-scaling-stroke; }
.glance path.thin { stroke-width: 1; opacity: .35; } .glance path.rule { stroke: var(--line); stroke-width: 1; }
.glance .c0 { stroke: var(--c0); } .glance .c1 { stroke: var(--c1); } .glance .c2 { stroke: var(--c2); }
.glance .c3 { stroke: var(--c3); } .glance .c4 { stroke: var(--c4); }
/* Not by colour alone. */
.glance .d1 { stroke-dasharray: 9 5; } .glance .d2 { stroke-dasharray: 2 5; }
.glance .d3 { stroke-dasharray: 11 5 2 5; } .glance .d4 { stroke-dasharray: 18 5; }
.glance ul.legend { display: flex; flex-wrap: wrap; gap: 2px 20px; margin: 4px 0 0; padding: 0; list-style: none; }
.glance ul.legend li { display: flex; align-items: center; gap: 8px; margin: 0; min-width: 0; }
.glance ul.legend svg { flex: 0 0 34px; height: 4px; overflow: visible; }
.glance table { width: 100%; border-collapse: collapse; font-size: 14px; }
.glance th, .glance td { padding: 5px 0 5px 12px; border-top: 1px solid var(--line); text-align: right;
  font-weight: 400; font-variant-numeric: tabular-nums; color: var(--ink); }
.glance thead th { border-top: 0; color: var(--soft); font-size: 13px; vertical-align: bottom; }
.glance th:first-child { padding-left: 0; text-align: left; }
.glance iframe { display: block; width: 100%; height: 560px; border: 1px solid var(--line); border-radius: 10px;
  background: var(--card); }
.glance .head { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 2px 20px; margin-top: 16px; }
.glance a { color: var(--c0); text-decoration: underline; }
</style>"""
