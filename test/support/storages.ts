import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { onTestFinished } from 'vitest'
import type { AdapterRow } from './counting.js'

export { collect } from './collect.js'

/** A folder that is removed after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Every adapter, each time fresh and empty. A store must behave the same on all of them. */
export const adapters: readonly AdapterRow[] = [
  { adapter: 'memory', make: () => memory() },
  { adapter: 'nodeFs', make: () => nodeFs(temporaryFolder()) },
]
