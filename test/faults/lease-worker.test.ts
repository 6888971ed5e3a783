import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { systemClock } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { expect, test } from 'vitest'
import { decodeLease } from '../../src/group/lease.js'
import { Presence } from '../../src/group/presence.js'
import { workerRenewer } from '../../src/group/worker.js'
import { temporaryFolder } from '../support/storages.js'
import { until } from '../support/until.js'

const script = fileURLToPath(new URL('../support/lease-worker.mjs', import.meta.url))
const LEASE = 4_000

/** The newest lease in the folder, read without letting anything else of this thread run. */
function counterIn(folder: string): number {
  const names = readdirSync(folder).filter((name) => name.startsWith('anchor@'))
  return Math.max(...names.map((name) => decodeLease(readFileSync(join(folder, name)), name).counter))
}

test('a worker renews the lease of a thread that is blocked, and its member lives on', async () => {
  const folder = temporaryFolder()
  const worker = new Worker(script, { workerData: folder })
  // How long it takes to load is not what this is about.
  await once(worker, 'message')
  const storage = nodeFs(folder)
  const lost: string[] = []
  const presence = await Presence.begin({
    storage,
    store: 's',
    leaseMs: LEASE,
    clock: systemClock,
    renewer: workerRenewer(worker),
    lost: (reason) => lost.push(reason),
    dead: () => undefined,
    silent: () => lost.push('silent'),
    failed: () => undefined,
  })
  const place = join(folder, 's', presence.member)
  const before = counterIn(place)
  const never = new Int32Array(new SharedArrayBuffer(4))
  const end = performance.now() + 60_000
  while (counterIn(place) < before + 4 && performance.now() < end) Atomics.wait(never, 0, 0, 20)
  expect(counterIn(place)).toBeGreaterThanOrEqual(before + 4)
  await until(() => presence.awayMs() < LEASE)
  expect(lost).toEqual([])
  expect(presence.gone.aborted).toBe(false)
  await presence.leave()
  const { bytes } = await storage.anchor(`s/${presence.member}/anchor`).read()
  expect(bytes).toBeUndefined()
  await worker.terminate()
})
