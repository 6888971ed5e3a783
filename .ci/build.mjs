/**
 * Builds dist: one bundle per entry, with what they share in chunks (so that there is one copy of the error class), and
 * declarations. It is built beside dist and swapped in when complete: a failed build leaves the last one alone.
 */
import {
  chmodSync,
  existsSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { esmExternalRequirePlugin } from 'rolldown/plugins'
import { builtins, bundleOptions, codeSplitting, isDependency } from './bundle.mjs'
import { tool } from './command.mjs'
import { commandEntry, libraryEntries, root } from './entries.mjs'
import { noticesPlugin } from './notices.mjs'

/** A chunk that does nothing but pass on what a room exports. */
const FRONT = /^export \{ ([^}]*) \} from "\.\/([\w-]+\.js)";\s*(\/\/# sourceMappingURL=.*\s*)?$/

const started = new Date()
const entries = [...libraryEntries, commandEntry]
const dist = join(root, 'dist')
const fresh = join(root, `.dist-${process.pid}`)
const former = join(root, `.dist-${process.pid}-former`)

/**
 * Lets the command import other entries as a user does. If it shared their modules, these would go to a chunk, and programs
 * would load one file more.
 */
const entriesOfCommand = {
  name: 'entries-of-command',
  async resolveId(id, importer, options) {
    if (!importer?.startsWith(join(root, 'src/cli'))) return undefined
    const resolved = await this.resolve(id, importer, { ...options, skipSelf: true })
    const entry = libraryEntries.find(({ source }) => resolved?.id === join(root, source))
    return entry && { id: `./${insideDist(entry.output)}`, external: true }
  },
}

try {
  requireSources()
  await writeDeclarations()
  await writeBundles()
  date()
  // Removing takes its time, in which a program that runs on dist would find half of it.
  if (existsSync(dist)) renameSync(dist, former)
  renameSync(fresh, dist)
} catch (error) {
  console.error(`The build failed: ${error.message}`)
  process.exitCode = 1
} finally {
  for (const folder of [fresh, former]) rmSync(folder, { recursive: true, force: true })
}

function requireSources() {
  const missing = entries.map(({ source }) => source).filter((source) => !existsSync(join(root, source)))
  if (missing.length > 0) throw new Error(`package.json promises entries without a source: ${missing.join(', ')}`)
}

async function writeDeclarations() {
  const args = ['-p', '.ci/tsconfig.types.json', '--outDir', join(fresh, 'types')]
  const { ok } = await tool('tsc', args, { show: true })
  if (!ok) throw new Error('the sources have type errors')
}

async function writeBundles() {
  const bundle = await rolldown({
    ...bundleOptions,
    input: Object.fromEntries(
      entries.map(({ source, output }) => [insideDist(output).replace(/\.js$/, ''), join(root, source)]),
    ),
    external: isDependency,
    // The packages bundled into the command are CommonJS; their `require('events')` has to become an import.
    plugins: [entriesOfCommand, esmExternalRequirePlugin({ external: builtins }), noticesPlugin],
  })
  await bundle.write({
    dir: fresh,
    format: 'esm',
    sourcemap: true,
    codeSplitting,
    // The declarations have the comments. Node reads a quarter less, and of one byte per character.
    comments: { jsdoc: false, annotation: true, legal: true },
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
    // Frameworks that render on servers ask for it where hooks are.
    banner: ({ name }) => (name === 'react' ? `'use client';` : ''),
  })
  await bundle.close()
  leaveOutFronts()
}

/** Whoever imports a part of a room imports the room: a page would load a file more for each part. */
function leaveOutFronts() {
  const folder = join(fresh, 'chunks')
  const fronts = new Map()
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.js'))) {
    const [, names, room] = FRONT.exec(readFileSync(join(folder, name), 'utf8')) ?? []
    if (names !== undefined) fronts.set(name, { names: names.split(', '), room })
  }
  for (const path of readdirSync(fresh, { recursive: true }).filter((file) => file.endsWith('.js'))) {
    const code = readFileSync(join(fresh, path), 'utf8')
    const changed = code.replace(/import\("((?:\.\.?\/)+(?:chunks\/)?)([\w-]+\.js)"\)/g, (all, place, name) => {
      const front = fronts.get(name)
      if (front === undefined) return all
      const fields = front.names.map((each) => {
        const [inside, outside = inside] = each.split(' as ')
        return `${outside}: room.${inside}`
      })
      return `import("${place}${front.room}").then((room) => ({ ${fields.join(', ')} }))`
    })
    if (changed !== code) writeFileSync(join(fresh, path), changed)
  }
  for (const name of fronts.keys()) {
    rmSync(join(folder, name))
    rmSync(join(folder, `${name}.map`), { force: true })
  }
}

/** Dates the entries with the start of the build: setup.mjs then sees a source that was saved meanwhile as newer. */
function date() {
  chmodSync(join(fresh, insideDist(commandEntry.output)), 0o755)
  const outputs = entries.flatMap(({ output, types }) => (types ? [output, types] : [output]))
  for (const file of outputs) utimesSync(join(fresh, insideDist(file)), started, started)
}

function insideDist(file) {
  return file.replace('dist/', '')
}
