/** Runs in Deno and Bun, and prints a line of JSON for each test, and one at the end. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openStore } from 'tidemark'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { storageSuite } from 'tidemark/testing'
import { verify } from 'tidemark/tools'

const LIMIT_MS = 60_000
const folder = await mkdtemp(join(tmpdir(), 'tidemark-runtime-'))
let storages = 0
const adapters = { 'memory()': () => memory(), 'nodeFs()': () => nodeFs(join(folder, String(storages++))) }

const tests = []
for (const [adapter, create] of Object.entries(adapters)) {
  const test = (name, run) => tests.push({ name: `${adapter} ${name}`, run })
  storageSuite({ test, create })
  test('a store is written, folded, merged, opened again and whole', () => life(create()))
}
for (const { name, run } of tests) {
  const error = await limited(run).then(
    () => undefined,
    (e) => String(e?.stack ?? e),
  )
  console.log(JSON.stringify({ test: name, error }))
}
await rm(folder, { recursive: true, force: true })
const version = globalThis.Deno?.version.deno ?? globalThis.Bun?.version
console.log(JSON.stringify({ done: true, tests: tests.length, version }))

async function life(storage) {
  const open = () => openStore({ storage, name: 'life', partitions: 2, checkpoint: { entries: 3, bytes: 2_000 } })
  const wanted = new Map()
  let store = await open()
  for (let i = 0; i < 40; i++) {
    const value = { i, text: 'ä€𝄞'.repeat(i), big: 2n ** 70n, bytes: new Uint8Array([i]), at: new Date(i) }
    store.put(`k${i % 25}`, value)
    wanted.set(`k${i % 25}`, value)
    if (i % 6 === 5) {
      store.delete(`k${i % 7}`)
      wanted.delete(`k${i % 7}`)
    }
    await store.commit({ offsets: { i } })
    if (i === 20) {
      // The store is not closed, so that the next handle takes it over.
      store = await open()
      await store.checkpoint()
    }
  }
  await store.maintain()
  await store.close()
  store = await open()
  const found = new Map()
  for await (const [key, value] of store.entries()) found.set(key, value)
  same([...found].map(plain).sort(), [...wanted].map(plain).sort())
  same(plain(['k24', await store.get('k24')]), plain(['k24', wanted.get('k24')]))
  same(store.offsets, { i: 39 })
  const past = await store.at(store.version - 1)
  same(past.offsets, { i: 38 })
  await past.close()
  await store.close()
  same((await verify({ storage, name: 'life' })).damages, [])
}

function plain([key, { i, text, big, bytes, at }]) {
  return JSON.stringify([key, i, text, String(big), [...bytes], at.getTime()])
}

function same(found, wanted) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)]
  if (a !== b) throw new Error(`${a} is not ${b}`)
}

function limited(run) {
  let timer
  const hang = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${LIMIT_MS} ms`)), LIMIT_MS)
  })
  return Promise.race([Promise.resolve().then(run), hang]).finally(() => clearTimeout(timer))
}
