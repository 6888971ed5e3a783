/**
 * The entries of the package, read from package.json: its `exports` are the one table, and the build, the aliases of the
 * tests and the checks follow it. An entry's source is where its declarations would come from.
 */
import { readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))
export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** One `{ specifier, source, types, output }` for each importable subpath; paths are relative to the root. */
export const libraryEntries = Object.entries(manifest.exports)
  .filter(([, target]) => typeof target === 'object')
  .map(([subpath, { types, default: output }]) => ({
    specifier: posix.join(manifest.name, subpath),
    source: types.replace('./dist/types/', '').replace(/\.d\.ts$/, '.ts'),
    types: posix.normalize(types),
    output: posix.normalize(output),
  }))

export const commandEntry = { source: 'src/cli/main.ts', output: manifest.bin[manifest.name] }

/** The import specifiers of the package's own entries and the absolute source file of each. */
export const sourceAliases = libraryEntries.map(({ specifier, source }) => ({
  find: new RegExp(`^${specifier}$`),
  replacement: join(root, source),
}))
