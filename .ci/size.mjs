/**
 * Measures the download of an application that opens, reads and recovers stores, dependencies included, and
 * compares it with a limit. The limit is for the code that is loaded at once: the entry's chunk and all that it imports
 * statically. The parts that are loaded when they are needed are listed beside it.
 */
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'
import { builtins, bundleOptions, codeSplitting } from './bundle.mjs'
import { libraryEntries } from './entries.mjs'

/** In KiB, minified and gzipped. They are never raised. */
const limits = [
  { adapter: 'tidemark/memory', name: 'memory', kib: 33.5 },
  { adapter: 'tidemark/indexeddb', name: 'indexedDb', kib: 38 },
  { adapter: 'tidemark/s3-fetch', name: 's3Fetch', kib: 39 },
]
/** What they add to the core; their peers are the program's own. */
const besideCore = [{ integration: 'tidemark/react', kib: 2 }]
/** Packages that every program below brings along itself. */
const peers = ['react']
/** The exports of the core that the measured program uses, beside its adapter. */
const used = 'openStore, isTidemarkError, TidemarkError'

for (const { adapter, name, kib } of limits) {
  const { atOnce, later } = await measure(
    `export { ${used} } from './${sourceOf('tidemark')}'\nexport { ${name} } from './${sourceOf(adapter)}'`,
  )
  const size = sum(atOnce)
  console.log(`tidemark + ${adapter}: ${inKib(size)} of ${kib} KiB; when it is needed ${inKib(sum(later))} more`)
  if (process.argv.includes('--parts')) {
    for (const [file, bytes] of [...atOnce, ...later])
      console.log(`  ${inKib(bytes)} ${atOnce.has(file) ? 'at once' : ''} ${file}`)
  }
  if (size > kib * 1024) process.exitCode = 1
}

const core = `export { ${used} } from './${sourceOf('tidemark')}'`
const coreSize = sum((await measure(core)).atOnce)
for (const { integration, kib } of besideCore) {
  const { atOnce } = await measure(`${core}\nexport * from './${sourceOf(integration)}'`)
  const size = sum(atOnce) - coreSize
  console.log(`${integration}: ${inKib(size)} of ${kib} KiB beside the core`)
  if (size > kib * 1024) process.exitCode = 1
}

function sourceOf(wanted) {
  return libraryEntries.find(({ specifier }) => specifier === wanted).source
}

/** The gzipped size of each file, by its name. */
async function measure(program) {
  const bundle = await rolldown({
    ...bundleOptions,
    input: 'program',
    platform: 'browser',
    plugins: [
      {
        name: 'program',
        resolveId: (id) => (id === 'program' ? `${bundleOptions.cwd}/program.js` : undefined),
        load: (id) => (id.endsWith('/program.js') ? program : undefined),
      },
    ],
    external: [...builtins, ...peers],
  })
  const { output } = await bundle.generate({ format: 'esm', minify: true, comments: false, codeSplitting })
  await bundle.close()
  const chunks = new Map(output.map((chunk) => [chunk.fileName, chunk]))
  // The set grows while it is walked.
  const atOnce = new Set(output.filter(({ isEntry }) => isEntry).map(({ fileName }) => fileName))
  for (const file of atOnce)
    for (const imported of chunks.get(file).imports) if (chunks.has(imported)) atOnce.add(imported)
  for (const { fileName, imports } of output) {
    const outside = imports.filter((imported) => !chunks.has(imported) && !peers.includes(imported))
    if (outside.length > 0) throw new Error(`${fileName} imports what no browser has: ${outside.join(', ')}`)
  }
  const sizes = output.map(({ fileName, code }) => [fileName, gzipSync(code, { level: 9 }).length])
  return {
    atOnce: new Map(sizes.filter(([file]) => atOnce.has(file))),
    later: new Map(sizes.filter(([file]) => !atOnce.has(file))),
  }
}

function sum(sizes) {
  return [...sizes.values()].reduce((total, bytes) => total + bytes, 0)
}

function inKib(bytes) {
  return `${(bytes / 1024).toFixed(1)} KiB`
}
