import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { temporaryFolder } from './support/storages.js'

const script = fileURLToPath(new URL('support/million.mjs', import.meta.url))

test('a state of 1,000,000 keys is written, merged, read and reopened under a heap of 128 MiB', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--max-old-space-size=128',
    script,
    temporaryFolder(),
  ])
  console.log(stdout.trim())
  const { count, wrong, maxRssMiB, compactions } = JSON.parse(stdout) as Record<string, number>
  expect([count, wrong]).toEqual([1_000_000, 0])
  expect(compactions).toBeGreaterThan(0)
  // Heap, code, caches and buffers together: what does not grow with the state. What deflate allocates outside of the heap is
  // collected late where the machine is busy: some 250 MiB are usual.
  expect(maxRssMiB).toBeLessThan(600)
})
