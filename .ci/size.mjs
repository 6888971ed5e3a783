/** Measures what an application downloads for some entries, dependencies included, and holds it to a limit. */
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'
import { builtins, bundleOptions } from './bundle.mjs'
import { libraryEntries } from './entries.mjs'

/** Minified and gzipped. */
const limits = [{ entries: ['tidemark', 'tidemark/memory'], kib: 57 }]

for (const { entries, kib } of limits) {
  const size = (await measure(entries)) / 1024
  console.log(`${entries.join(' + ')}: ${size.toFixed(1)} KiB of ${kib} KiB`)
  if (size > kib) process.exitCode = 1
}

async function measure(specifiers) {
  const sources = specifiers.map((wanted) => libraryEntries.find(({ specifier }) => specifier === wanted).source)
  const everything = sources.map((source) => `export * from './${source}'`).join('\n')
  const bundle = await rolldown({
    ...bundleOptions,
    input: 'everything',
    platform: 'browser',
    external: builtins,
    plugins: [
      {
        name: 'everything',
        resolveId: (id) => (id === 'everything' ? `${bundleOptions.cwd}/everything.js` : undefined),
        load: (id) => (id.endsWith('/everything.js') ? everything : undefined),
      },
    ],
  })
  const { output } = await bundle.generate({ format: 'esm', minify: true, comments: false })
  await bundle.close()
  return output.reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).length, 0)
}
