/** Old versions: a table of then and now, what lies between, and going back. */
import { diff } from 'tidemark/tools'
import { TABLES } from '../flights/statistics.mjs'
import { compareWithMemory } from './compare.js'
import { n, plural } from './format.js'
import { withoutJob } from './job.js'
import { look, opened } from './opened.js'

const ROWS = 8

/** The airports that are busiest in the second version, with what both hold of them. */
export async function tableOf(first, second) {
  const store = opened()
  const [before, after] = [await airportsAt(store, first), await airportsAt(store, second)]
  const busiest = [...after].sort(([, a], [, b]) => b.count - a.count).slice(0, ROWS)
  return busiest.map(([airport, delays]) => ({ airport, before: before.get(airport), after: delays }))
}

async function airportsAt(store, version) {
  const past = await store.at(version)
  try {
    return new Map(await past.table('airports').toArray())
  } finally {
    await past.close()
  }
}

export async function compareVersions(first, second) {
  let [added, changed, removed] = [0, 0, 0]
  for (const table of [...TABLES, 'notes']) {
    for await (const change of diff(opened(), first, second, { table })) {
      if (!('before' in change)) added++
      else if ('after' in change) changed++
      else removed++
    }
  }
  return { first, second, added, changed, removed }
}

export const saidOf = ({ first, second, added, changed, removed }) =>
  `From version ${n(first)} to ${n(second)}: ${plural(changed, 'value')} changed, ${n(added)} added, ${n(removed)} removed.`

export const restore = (version) =>
  withoutJob(async () => {
    const { version: made, undo } = await opened().restore(version, { label: `back to ${version}` })
    await look()
    const { counted } = await compareWithMemory()
    return `Version ${n(version)} is back, as the new version ${n(made)}, with ${n(counted)} flights counted. Restoring ${n(undo)} undoes it.`
  })

export async function tag(name, version) {
  await opened().tag(name, { at: version })
  await look()
  return `Version ${n(version)} is kept as “${name}”, for as long as the tag is there.`
}
