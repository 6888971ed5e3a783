// A state of many keys, a million for instance, written, merged, read and reopened by a process with a small heap: `node million.mjs <folder> <keys>`.
import { openStore } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'

const KEYS = Number(process.argv[3])
const PER_COMMIT = KEYS / 100
const folder = process.argv[2]
const open = () =>
  openStore({
    storage: nodeFs(folder),
    name: 'million',
    cacheBytes: 8 << 20,
    durability: 'relaxed',
    checkpoint: { entries: 16, bytes: 1 << 20 },
  })

/** Visits all numbers below KEYS once, in an order that is far from sorted. */
const scattered = (i) => (i * 7_919) % KEYS
const valueOf = (i) => ({ number: i, name: `user ${i % 1_000}`, active: i % 3 === 0 })

/** The bytes in use that are not merely garbage yet, in the heap and in buffers outside of it. */
let maxLive = 0
function lookAtMemory() {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  maxLive = Math.max(maxLive, heapUsed + external)
}

let store = await open()
for (let i = 0; i < KEYS; i++) {
  const key = scattered(i)
  store.put(`user:${key}`, valueOf(key))
  if ((i + 1) % PER_COMMIT === 0) await store.commit()
  if ((i + 1) % (PER_COMMIT * 10) === 0) lookAtMemory()
}
// Merging runs beside commits, and is carried by one of them: here by the next ones that a quiet program makes.
const patience = performance.now() + 120_000
while (store.metrics().compactions === 0 && performance.now() < patience) {
  await new Promise((resolve) => setTimeout(resolve, 50))
  await store.commit()
}
const written = store.metrics()
await store.close()

store = await open()
let wrong = 0
for (let i = 0; i < 5_000; i++) {
  const key = (i * 104_729) % KEYS
  const value = await store.get(`user:${key}`)
  if (value?.number !== key) wrong++
}
let count = 0
for await (const [key, value] of store.entries()) {
  if (key !== `user:${value.number}`) wrong++
  if (++count % 200_000 === 0) lookAtMemory()
}
await store.close()

const { maxRSS } = process.resourceUsage()
console.log(
  JSON.stringify({
    count,
    wrong,
    maxLiveMiB: Math.round(maxLive / 2 ** 20),
    maxRssMiB: Math.round(maxRSS / 1024),
    compactions: written.compactions,
    folds: written.folds,
  }),
)
