/** The look of the inspector, light and dark as the page around it. */
export const STYLE = `
:host {
  --ink: light-dark(#1c1f26, #e8eaf0);
  --soft: light-dark(#555d6b, #a8b0bf);
  --line: light-dark(#d5d9e0, #3b414d);
  --paper: light-dark(#ffffff, #16181d);
  --field: light-dark(#f3f5f8, #20242b);
  --log: light-dark(#2563c9, #7fb0ff);
  --fold: light-dark(#0d7a5f, #4fd0aa);
  --mark: light-dark(#b4470b, #ffa465);
  --back: light-dark(#7a3fb0, #c9a0f5);
  --gone: light-dark(#fbe4e1, #45211f);
  --new: light-dark(#dcf3e6, #17392a);
  color: var(--ink);
  background: var(--paper);
  display: block;
  padding: 1rem;
  font: 0.875rem/1.45 system-ui, sans-serif;
}
:host([hidden]), [hidden] { display: none !important }
* { box-sizing: border-box }
section + section { margin-top: 1.5rem }
h2 { font-size: 1rem; margin: 0 0 0.4rem }
p { margin: 0.3rem 0; color: var(--soft) }
code, td, th { font-family: ui-monospace, monospace; font-size: 0.8125rem }
button, select, input[type='text'] {
  font: inherit;
  color: inherit;
  background: var(--field);
  border: 1px solid var(--line);
  border-radius: 4px;
  padding: 0.25rem 0.6rem;
  max-width: 100%;
}
button { cursor: pointer }
button:disabled { cursor: default; color: var(--soft) }
:focus-visible { outline: 2px solid var(--log); outline-offset: 2px }
label { display: inline-flex; gap: 0.4rem; align-items: center; min-width: 0; max-width: 100% }
select { min-width: 0; flex: 1 }
label.wide { display: block; margin-top: 0.4rem }
.bar { display: flex; flex-wrap: wrap; gap: 0.5rem 1rem; align-items: center; margin: 0.4rem 0 }
dl { display: flex; flex-wrap: wrap; gap: 0.3rem 1.4rem; margin: 0.4rem 0 }
dl div { display: flex; gap: 0.4rem }
dt { color: var(--soft) }
dd { margin: 0; font-variant-numeric: tabular-nums }
figure { margin: 0; min-width: 0 }
figcaption { color: var(--soft); margin-bottom: 0.4rem }
figcaption b { color: var(--ink) }
.parts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr)); gap: 1rem 1.5rem; margin-top: 0.6rem }
svg { display: block; width: 100%; background: var(--field); border-radius: 4px }
svg.timeline, svg.log { height: 4rem }
svg.timeline { cursor: pointer }
svg.segments { height: auto; min-height: 0.75rem; max-height: 12rem }
svg.bar { height: 0.625rem }
ol.lanes { list-style: none; margin: 0 0 0.5rem; padding: 0; max-height: 16rem; overflow-y: auto; color: var(--soft) }
ol.lanes li { display: grid; grid-template-columns: 1fr 6.5rem; gap: 0.6rem; align-items: center; font-variant-numeric: tabular-nums }
input[type='range'] { width: 100%; margin: 0.2rem 0 0; accent-color: var(--log) }
.entry { fill: var(--log) }
.folded, .segment { fill: var(--fold) }
.reset { fill: var(--back) }
.tagged { fill: var(--mark) }
.chosen { stroke: var(--ink); stroke-width: 2; vector-effect: non-scaling-stroke }
.lane { fill: var(--line) }
.keys { fill: var(--log) }
.key { display: inline-block; width: 0.8em; height: 0.8em; border-radius: 2px; background: var(--log); margin-right: 0.3em }
.key.folded { background: var(--fold) }
.key.reset { background: var(--back) }
.key.tagged { background: var(--mark) }
.scroll { overflow-x: auto; max-height: 24rem; border: 1px solid var(--line); border-radius: 4px }
table { border-collapse: collapse; width: 100%; table-layout: fixed; min-width: 18rem }
thead th:first-child { width: 24% }
th, td { text-align: left; vertical-align: top; padding: 0.2rem 0.5rem; overflow-wrap: anywhere; border-bottom: 1px solid var(--line) }
thead th { position: sticky; top: 0; background: var(--field); font-family: inherit }
tbody th { font-weight: 400 }
td.gone { background: var(--gone) }
td.new { background: var(--new) }
td.none { color: var(--soft) }
summary { cursor: pointer; word-break: break-all }
details[open] summary { color: var(--soft); margin-bottom: 0.3rem }
.trouble { color: var(--mark); overflow-wrap: anywhere }
.trouble:empty, [role='status']:empty { display: none }
`
