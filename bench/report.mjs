/** Tables of what was measured: ratios first, then the figures behind them. */
import { median } from './data.mjs'
import { works } from './works.mjs'

const isRate = (figure) => figure.endsWith('/s')

/** For each figure a row for each peer: the median with the lowest and the highest, and the ratio of Tidemark to the peer. */
export function tableOf(results, isWanted = () => true) {
  const rows = results.figures.filter(isWanted)
  const names = [...new Set(rows.flatMap(({ figures }) => Object.keys(figures)))]
  const peers = [...new Set(rows.map(({ peer }) => peer))].sort(
    (a, b) => Number(b === 'tidemark') - Number(a === 'tidemark'),
  )
  const figure = (peer, round, name) => rows.find((row) => row.peer === peer && row.round === round)?.figures[name]
  return names.map((name) => ({
    name,
    peers: peers.flatMap((peer) => {
      const own = []
      const ratios = []
      for (let round = 0; round < results.rounds; round++) {
        const theirs = figure(peer, round, name)
        const ours = figure('tidemark', round, name)
        if (theirs === undefined) continue
        own.push(theirs)
        if (ours !== undefined && theirs > 0 && ours > 0) ratios.push(isRate(name) ? ours / theirs : theirs / ours)
      }
      return own.length === 0
        ? []
        : [
            {
              peer,
              value: median(own),
              low: Math.min(...own),
              high: Math.max(...own),
              ratio: ratios.length > 0 ? median(ratios) : undefined,
            },
          ]
    }),
  }))
}

export function printTables(results, { values, work }) {
  const title = `${works[work].title} (${values}, ${results.rows} rows, ${results.rounds} rounds)`
  printTable(results, title, (row) => row.values === values && row.work === work)
}

export function printTable(results, title, isWanted) {
  console.log(`\n${title}`)
  for (const { name, peers } of tableOf(results, isWanted)) {
    console.log(`  ${name}`)
    for (const { peer, value, low, high, ratio } of peers) {
      const times = peer === 'tidemark' || ratio === undefined ? '' : `  tidemark is ${show(ratio)} times as good`
      console.log(`    ${peer.padEnd(15)} ${show(value).padStart(10)}  (${show(low)} to ${show(high)})${times}`)
    }
  }
}

/** Three digits that count. */
export function show(number) {
  if (number >= 1000) return Math.round(number).toLocaleString('en-US')
  return Number(number.toPrecision(3)).toString()
}

/** The same as a table of Markdown: a row for each figure, a column for each peer. */
export function markdownTable(rows) {
  const peers = [...new Set(rows.flatMap((row) => row.peers.map(({ peer }) => peer)))]
  const cell = (row, peer) => {
    const found = row.peers.find((other) => other.peer === peer)
    if (found === undefined) return '–'
    const ratio = peer === 'tidemark' || found.ratio === undefined ? '' : ` (${show(found.ratio)}×)`
    return `${show(found.value)}${ratio}`
  }
  return [
    `| | ${peers.join(' | ')} |`,
    `| --- |${' ---: |'.repeat(peers.length)}`,
    ...rows.map((row) => `| ${row.title ?? row.name} | ${peers.map((peer) => cell(row, peer)).join(' | ')} |`),
  ].join('\n')
}
