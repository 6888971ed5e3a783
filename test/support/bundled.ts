/** The library in one file, for programs that run apart from the tests: in a realm of their own, or with a small stack. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { builtins, bundleOptions } from '../../.ci/bundle.mjs'

export interface Bundled {
  readonly folder: string
  readonly file: string
  readonly remove: () => void
}

/** As CommonJS, with all its parts in it; it exports openStore, memory and nodeFs. */
export async function bundled(): Promise<Bundled> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-bundled-'))
  const file = join(folder, 'tidemark.cjs')
  const program = [
    `export * from './src/index.ts'`,
    `export { memory } from './adapters/memory/index.ts'`,
    `export { nodeFs } from './adapters/node-fs/index.ts'`,
  ].join('\n')
  const bundle = await rolldown({
    ...bundleOptions,
    input: 'program',
    platform: 'node',
    plugins: [
      {
        name: 'program',
        resolveId: (id) => (id === 'program' ? `${bundleOptions.cwd}/program.ts` : undefined),
        load: (id) => (id.endsWith('/program.ts') ? program : undefined),
      },
    ],
    external: builtins,
  })
  await bundle.write({ file, format: 'cjs', codeSplitting: false })
  await bundle.close()
  return { folder, file, remove: () => rmSync(folder, { recursive: true, force: true }) }
}
