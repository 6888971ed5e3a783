import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { onTestFinished } from 'vitest'

export { collect } from './collect.js'

/** A folder that is removed after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Every adapter, each time fresh and empty. A store must behave the same on all of them. */
export const adapters: readonly (readonly [name: string, make: () => Storage])[] = [
  ['memory()', () => memory()],
  ['nodeFs()', () => nodeFs(temporaryFolder())],
]
