// A page on the built package, as a user's page would be. `#commit` commits without pause until the browser is killed, and
// reports each version once it is acknowledged; tests call the rest by their names.
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

/** Opens a store that other tabs write as well. */
async function openShared(options) {
  const storage = indexedDb('shared')
  const store = await openStore({ storage, name: 'shared', mode: 'shared', retain: { versions: 100_000 }, ...options })
  globalThis.store = store
  return store.version
}

/** Commits blindly, and answers the versions. */
async function write(name, count) {
  const versions = []
  for (let i = 0; i < count; i++) {
    store.put(`${name}${i}`, i)
    versions.push((await store.commit()).version)
  }
  return versions
}

async function increment(count) {
  for (let i = 0; i < count; i++) {
    await store.transaction(async (tx) => tx.put('n', ((await tx.get('n')) ?? 0) + 1), { tries: 1_000 })
  }
}

/** Counts one by one, and answers how long the slowest took, in milliseconds. */
async function update(count) {
  let slowest = 0
  for (let i = 0; i < count; i++) {
    const started = performance.now()
    await store.update('n', (n = 0) => n + 1)
    slowest = Math.max(slowest, performance.now() - started)
  }
  return slowest
}

/** Resolves to the newest version once it is at least this one. */
async function atLeast(version) {
  while (store.version < version) await new Promise((resolve) => store.on('version', resolve))
  return store.version
}

async function contents() {
  const entries = []
  for await (const entry of store.entries()) entries.push(entry)
  const versions = []
  for await (const { version } of store.versions()) versions.push(version)
  return { entries, versions }
}

Object.assign(globalThis, { check, openShared, write, increment, update, atLeast, contents })
if (location.hash === '#commit') commit().catch((error) => report('failed', 0, `${error.code} ${error.stack}`))
