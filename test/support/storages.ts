import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import type { Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'

const folders: string[] = []
afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-test-'))
  folders.push(folder)
  return folder
}

/** Every adapter, each time fresh and empty. A store must behave the same on all of them. */
export const adapters: readonly (readonly [name: string, make: () => Storage])[] = [
  ['memory()', () => memory()],
  ['nodeFs()', () => nodeFs(temporaryFolder())],
]

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
