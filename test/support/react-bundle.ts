/** React of one version with what is tested on it, in one file: whatever asks for `react` gets this one. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type * as Testing from '@testing-library/react'
import type * as React from 'react'
import type * as Server from 'react-dom/server'
import { rolldown } from 'rolldown'
import { afterAll, afterEach, beforeAll } from 'vitest'
import { builtins, bundleOptions } from '../../.ci/bundle.mjs'
import type * as Core from '../../src/index.js'
import type * as Hooks from '../../integrations/react/index.js'
import type { memory } from '../../adapters/memory/index.js'
import { settle } from './until.js'

export interface ReactWorld {
  readonly React: typeof React
  readonly Server: typeof Server
  readonly Testing: typeof Testing
  readonly Core: typeof Core & { loadParts(): Promise<void> }
  readonly Hooks: typeof Hooks
  readonly memory: typeof memory
}

const PROGRAM = [
  `export * as React from 'react'`,
  `export * as Server from 'react-dom/server'`,
  `export * as Testing from '@testing-library/react'`,
  `import * as Index from './src/index.ts'`,
  `import { loadParts } from './src/part.ts'`,
  `export const Core = { ...Index, loadParts }`,
  `export * as Hooks from './integrations/react/index.ts'`,
  `export { memory } from './adapters/memory/index.ts'`,
].join('\n')

async function reactWorld(version: 18 | 19): Promise<ReactWorld> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-react-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'world.cjs')
  const bundle = await rolldown({
    ...bundleOptions,
    input: 'program',
    platform: 'node',
    resolve: {
      ...bundleOptions.resolve,
      ...(version === 18 && { alias: { react: 'react-18', 'react-dom': 'react-dom-18' } }),
    },
    plugins: [
      {
        name: 'program',
        resolveId: (id) => (id === 'program' ? `${bundleOptions.cwd}/program.ts` : undefined),
        load: (id) => (id.endsWith('/program.ts') ? PROGRAM : undefined),
      },
    ],
    external: builtins,
    onLog: () => undefined,
  })
  await bundle.write({ file, format: 'cjs', codeSplitting: false })
  await bundle.close()
  return createRequire(import.meta.url)(file) as ReactWorld
}

/** Hands the world over before the tests of a block, and cleans up after each. Returns what opens a store that its test closes. */
export function reactTests(
  version: 18 | 19,
  ready: (world: ReactWorld) => void,
): (options?: Partial<Core.OpenOptions>) => Promise<Core.Store> {
  let world!: ReactWorld
  beforeAll(async () => {
    world = await reactWorld(version)
    await world.Core.loadParts()
    ;(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true
    ready(world)
  }, 60_000)
  const stores: Core.Store[] = []
  afterEach(async () => {
    world.Testing.cleanup()
    for (const store of stores.splice(0)) await store.close()
    await settle()
  })
  return async (options = {}) => {
    const store = await world.Core.openStore({ storage: world.memory(), name: 's', logger: false, ...options })
    stores.push(store as Core.Store)
    return store as Core.Store
  }
}
