/**
 * Writes docs/performance.md, tables and charts, from bench/performance.md and the results that the benchmarks have left:
 *
 *     npm run bench -- --json node.json && npm run bench:browser -- --json browser.json && npm run bench:s3 -- --json s3.json
 *     npm run bench:group -- --json group.json
 *     node bench/publish.mjs node.json browser.json s3.json group.json
 *
 * The text is that of bench/performance.md; a table takes the place between `<!-- name -->` and `<!-- /name -->`.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ratioChart } from './charts.mjs'
import { markdownTable, show, tableOf } from './report.mjs'
import { works } from './works.mjs'

const docs = join(import.meta.dirname, '../docs')
const read = (file) => JSON.parse(readFileSync(file, 'utf8'))
const [node, browser, s3, group] = process.argv.slice(2).map(read)
let text = readFileSync(join(import.meta.dirname, 'performance.md'), 'utf8')

for (const values of ['objects', 'strings']) {
  const rows = Object.keys(works).flatMap((work) =>
    tableOf(node, (row) => row.values === values && row.work === work).map((row) => ({
      ...row,
      title: `${works[work].title}: ${row.name}`,
    })),
  )
  if (rows.length === 0) continue
  if (values === 'objects') chart('performance-node', 'Node, files: how many times as good', rows)
  const picture = values === 'objects' ? '![Ratios on Node](performance-node.svg)\n\n' : ''
  put(`node ${values}`, picture + markdownTable(rows))
}
put(
  'node limits',
  Object.entries(node.limits)
    .map(([name, value]) => `- ${name}: ${show(value)}`)
    .join('\n'),
)
put(
  'machine',
  `${node.machine.cpu}, ${node.machine.cores} cores, ${node.machine.memory}, Node ${node.machine.node}; ${node.rounds} rounds, ${node.rows} rows.`,
)
if (browser) {
  const rows = tableOf(browser)
  put('browser', `![Ratios in Chromium](performance-browser.svg)\n\n${markdownTable(rows)}`)
  chart('performance-browser', 'Chromium: how many times as good', rows)
}
if (s3) put('s3', figuresTable(s3))
if (group) put('group', figuresTable(group))
writeFileSync(join(docs, 'performance.md'), text)
const readme = join(docs, '../README.md')
text = readFileSync(readme, 'utf8')
// The README has no room for empty lines around it.
put('performance', markdownTable(shortRows()), '\n')
writeFileSync(readme, text)

/** The row of each work that says most, beside the stores that a server would pick. */
function shortRows() {
  const short = [
    ['load', 'load ms'],
    ['epochs', 'epochs/s'],
    ['one', 'commits/s'],
    ['flight', 'commits/s'],
    ['warm', 'gets/s'],
    ['scan', 'rows/s'],
  ]
  return short.map(([work, figure]) => {
    const all = tableOf(node, (row) => row.values === 'objects' && row.work === work)
    const row = all.find(({ name }) => name === figure)
    if (row === undefined) throw new Error(`"${work}" has no figure "${figure}".`)
    const peers = row.peers.filter(({ peer }) => !['log-by-hand', 'json-file'].includes(peer))
    return { ...row, peers, title: `${works[work].title}: ${figure}` }
  })
}

function figuresTable({ figures }) {
  const rows = Object.entries(figures).map(([name, value]) => `| ${name} | ${show(value)} |`)
  return ['| | |', '| --- | ---: |', ...rows].join('\n')
}

function chart(name, title, rows) {
  writeFileSync(
    join(docs, `${name}.svg`),
    ratioChart(
      title,
      rows.map((row) => ({ ...row, name: row.title ?? row.name })),
    ),
  )
}

function put(name, content, around = '\n\n') {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`There is no place for "${name}".`)
  text = `${text.slice(0, from + begin.length)}${around}${content}${around}${text.slice(to)}`
}
