import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { extent } from '../../support/extent.js'
import { temporaryFolder } from '../../support/storages.js'

const KEYS = extent(1_000_000, 200_000)
const script = fileURLToPath(new URL('../../support/million.mjs', import.meta.url))

test(`a state of ${KEYS} keys is written, merged, read and reopened under a heap of 128 MiB`, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--max-old-space-size=128',
    '--expose-gc',
    script,
    temporaryFolder(),
    String(KEYS),
  ])
  console.log(stdout.trim())
  const { count, wrong, maxLiveMiB, compactions } = JSON.parse(stdout) as Record<string, number>
  expect([count, wrong]).toEqual([KEYS, 0])
  expect(compactions).toBeGreaterThan(0)
  // Heap and buffers in use: what does not grow with the state. What the process takes beside that is garbage, which is
  // collected late where the machine is busy.
  expect(maxLiveMiB).toBeLessThan(200)
})
