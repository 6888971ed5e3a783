// A page that commits without pause and reports each version once it is acknowledged, on the built package, as a user's
// page would be. `#commit` commits until the browser is killed; `#check` reports all that is there.
import { openStore } from 'tidemark'
import { indexedDb } from 'tidemark/indexeddb'

const { report } = globalThis

async function open() {
  return openStore({
    storage: indexedDb('killed'),
    name: 'killed',
    checkpoint: { entries: 8 },
    retain: { versions: 100_000 },
  })
}

async function commit() {
  const store = await open()
  const reached = Number(store.offsets.i ?? 0)
  await report('opened', reached, store.version)
  for (let i = reached + 1; ; i++) {
    store.put(`k${i % 50}`, { i })
    store.put(['last', i % 3], i)
    const { version } = await store.commit({ offsets: { i } })
    // Not waited for: the next commit is on its way when the browser dies.
    void report('committed', i, version)
  }
}

async function check() {
  const store = await open()
  const versions = []
  for await (const { version, offsets } of store.versions()) versions.push([version, offsets.i])
  const entries = []
  for await (const entry of store.entries()) entries.push(entry)
  await store.close()
  return { reached: store.offsets.i, versions, entries }
}

globalThis.check = check
if (location.hash === '#commit') commit().catch((error) => report('failed', 0, `${error.code} ${error.stack}`))
