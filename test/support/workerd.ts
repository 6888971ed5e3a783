/** Workers of ours in real workerd, bundled as a user of the package would. */
import { fileURLToPath } from 'node:url'
import { Miniflare, type MiniflareOptions } from 'miniflare'
import { rolldown } from 'rolldown'
// The build's own table of entries, so that a worker resolves them as the tests do.
import { sourceAliases } from '../../.ci/entries.mjs'

const aliases: { find: RegExp; replacement: string }[] = [
  ...sourceAliases,
  { find: /^vitest$/, replacement: fileURLToPath(new URL('worker-expect.ts', import.meta.url)) },
]

/** The module `file` of this folder as one script; `tidemark` and its entries are bundled from their sources. */
async function bundle(file: string): Promise<string> {
  const build = await rolldown({
    input: fileURLToPath(new URL(file, import.meta.url)),
    platform: 'neutral',
    resolve: { mainFields: ['module', 'main'], extensionAlias: { '.js': ['.ts', '.js'] } },
    plugins: [
      {
        name: 'entries',
        resolveId: (specifier: string) => aliases.find(({ find }) => find.test(specifier))?.replacement,
      },
    ],
    // An import that does not resolve would otherwise fail in the worker.
    onLog: (level, log, handle) => handle(level === 'warn' ? 'error' : level, log),
  })
  const { output } = await build.generate({ format: 'esm', codeSplitting: false })
  await build.close()
  return output[0].code
}

const bundles = new Map<string, Promise<string>>()

/** As `bundle`, once for each file. */
function bundled(file: string): Promise<string> {
  const known = bundles.get(file) ?? bundle(file)
  bundles.set(file, known)
  return known
}

export async function startWorker(file: string, options: Partial<MiniflareOptions> = {}): Promise<Miniflare> {
  const miniflare = new Miniflare({
    modules: true,
    script: await bundled(file),
    compatibilityDate: '2026-01-01',
    ...options,
  } as MiniflareOptions)
  await miniflare.ready
  return miniflare
}
