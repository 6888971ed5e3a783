/** One life of a peer in a worker: `fill` loads and changes rows, `reopen` reads what a former page has left. */
import { keyOf, median, objectOf, random } from '../data.mjs'
import { peers } from './peers.mjs'

const lives = { fill, reopen }

globalThis.onmessage = async ({ data: { peer, life, rows } }) => {
  try {
    postMessage({ figures: await lives[life](await peers[peer](), rows) })
  } catch (error) {
    postMessage({ error: String(error?.stack ?? error) })
  }
}

async function fill(open, rows) {
  const db = await open()
  const all = Array.from({ length: rows }, (_, i) => [keyOf(i), objectOf(i)])
  const load = await timed(() => db.write(all))
  const next = random(11)
  const change = (count, version) =>
    Array.from({ length: count }, () => {
      const row = Math.floor(next() * rows)
      return [keyOf(row), objectOf(row, version)]
    })
  const updates = []
  for (let i = 0; i < 20; i++) {
    const changes = change(Math.ceil(rows / 100), i)
    updates.push(await timed(() => db.write(changes)))
  }
  const puts = []
  for (let i = 0; i < 50; i++) {
    const changes = change(1, i)
    puts.push(await timed(() => db.write(changes)))
  }
  await db.close()
  return { 'load ms': load, 'update of 1 % ms': median(updates), 'one put ms': median(puts) }
}

async function reopen(open, rows) {
  const keys = Array.from({ length: rows }, (_, i) => keyOf(i))
  const next = random(12)
  let db
  const reopened = await timed(async () => {
    db = await open()
    if ((await db.get(keys[1])) === undefined) throw new Error('The first get found nothing.')
  })
  const chosen = Array.from({ length: 1000 }, () => keys[Math.floor(next() * rows)])
  const gets = async () => {
    for (const key of chosen) if ((await db.get(key)) === undefined) throw new Error('A key is missing.')
  }
  const cold = await timed(gets)
  const warm = await timed(gets)
  const scan = async () => {
    const seen = await db.scan()
    if (seen < rows) throw new Error(`A scan saw ${seen} rows.`)
  }
  await scan()
  const scanned = await timed(scan)
  await db.close()
  return {
    'reopen and first get ms': reopened,
    '1,000 cold gets ms': cold,
    'the same warm ms': warm,
    'scan ms': scanned,
  }
}

async function timed(act) {
  const begun = performance.now()
  await act()
  return performance.now() - begun
}
