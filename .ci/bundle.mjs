/** How the build and the measurement of sizes bundle the sources. */
import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { manifest, root } from './entries.mjs'

export const bundleOptions = {
  cwd: root,
  platform: 'neutral',
  resolve: { mainFields: ['module', 'main'], extensionAlias: { '.js': ['.ts', '.js'] } },
  transform: { target: 'es2022' },
  onLog(level, log, handle) {
    // A part may be loaded already where another one of its room is.
    if (log.code === 'INEFFECTIVE_DYNAMIC_IMPORT') return
    // A warning (an import that does not resolve, a cycle of chunks) is an error, as it would end up in the package.
    handle(level === 'warn' ? 'error' : level, log)
  },
}

export const builtins = [...builtinModules, /^node:/]
/** Packages that are installed beside this one and not bundled into it. Users of an adapter install its peers. */
const beside = { ...manifest.dependencies, ...manifest.peerDependencies }
const dependencies = Object.keys(beside).map((name) => new RegExp(`^${name}(/|$)`))

export function isDependency(id) {
  return dependencies.some((name) => name.test(id))
}

const core = join(root, 'src/index.ts')

/**
 * All modules that `tidemark` itself imports statically are one chunk. By default there would be a chunk for each set of parts
 * that share a module, some fifteen files, which compress a fifth worse.
 */
export const codeSplitting = {
  groups: [{ name: (id, context) => (isReached(id, context) ? 'core' : roomOf(id)), debugName: 'core and rooms' }],
}

/**
 * What is loaded when it is needed comes in rooms: a page that writes, watches and folds would else load some forty files. The first
 * pattern that fits counts.
 */
const ROOMS = [
  [
    'folding',
    /src\/(engine\/compaction|segment\/(writer|merge|pieces|sift|pack|whole|bloom-writer)|manifest\/(edits|encode|clip))/,
  ],
  ['past', /src\/(engine\/(gc|history|repair)|store\/(old-versions|history|find|maintain)|storage\/(pages|listing))/],
  ['reading', /src\/(engine\/scan|segment\/|store\/(watching|indexes|go-on))/],
  ['writing', /src\/(engine\/|store\/|log\/)/],
]

function roomOf(id) {
  return ROOMS.find(([, pattern]) => pattern.test(id))?.[0]
}

/** Whether static imports lead from the core's entry to a module. */
function isReached(id, context) {
  // The set grows while it is walked.
  const above = new Set([id])
  for (const importer of above) for (const higher of context.getModuleInfo(importer)?.importers ?? []) above.add(higher)
  return above.has(core)
}
