/** Guards the shape of the project: which folder may import which, what files may contain, and how long they get. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')

/** Each may import those in its own row and in the rows above it. */
const layers = [
  ['src/errors.ts', 'src/async.ts', 'src/callback.ts', 'src/clock.ts', 'src/pause.ts', 'src/part.ts'],
  ['src/bytes'],
  ['src/storage'],
  ['src/segment'],
  ['src/log'],
  ['src/manifest'],
  ['src/engine'],
  ['src/store'],
  ['src/index.ts'],
  ['src/stream', 'src/transfer', 'src/tools'],
  ['src/group'],
  ['src/testing', 'src/inspector'],
  ['src/cli'],
]
/** Checksum, envelope and hex digits are no secrets of the core: an adapter that keeps files of its own has the same. */
const adaptersMayImport = [
  'src/errors.ts',
  'src/async.ts',
  'src/clock.ts',
  'src/part.ts',
  'src/storage',
  'src/bytes/crc32.ts',
  'src/bytes/envelope.ts',
  'src/bytes/hex.ts',
]
/** No adapter by itself: what two of them differ from only in how they send requests. */
const adaptersShare = ['adapters/s3-common']

/**
 * An integration stands on what every program can import, and on the one package that it is for. What several of them share
 * is no integration by itself.
 */
const integrationsShare = ['integrations/common']
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly exports: Readonly<Record<string, { readonly types?: string }>>
  readonly peerDependenciesMeta: object
}
const publicSources = Object.values(manifest.exports).flatMap(
  ({ types }) => types?.replace('./dist/types/', '').replace(/\.d\.ts$/, '.ts') ?? [],
)
const optionalPeers = Object.keys(manifest.peerDependenciesMeta)

/** The installed packages that a part of src may import; everything else in src imports none. Adapters are free. */
const packages: Record<string, RegExp> = {
  'src/cli': /^(node:.*|commander|cli-progress|cli-table3|string-width|@aws-sdk\/client-s3)$/,
  'src/stream/node.ts': /^node:.*$/,
  'src/stream/csv.ts': /^csv-parse\/sync$/,
}
const corePackages = /^(fflate|@noble\/hashes\/.*)$/
const longestFile = 350
/** Files that are longer still. The list may only shrink. */
const tooLong: readonly string[] = []
/** The longest chain of imports within a room, types and dynamic imports among them: from a file down to one that imports none. */
const mostLevels = {
  'src/engine': 9,
  'src/engine/shards': 7,
  'src/store': 9,
  'src/store/indexes': 5,
  'src/store/watching': 5,
}

const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root })
  .toString()
  .split('\0')
  .filter((path) => path !== '' && existsSync(join(root, path)))
const sources = files.filter((path) => /^(src|adapters|integrations)\/.*\.tsx?$/.test(path))
const tests = files.filter((path) => /^test\/.*\.tsx?$/.test(path) && path !== 'test/house/architecture.test.ts')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

interface Import {
  readonly from: string
  readonly specifier: string
  /** The imported file, when it is one of ours. */
  readonly to: string | undefined
}

function importsOf(from: string): Import[] {
  const code = read(from).replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
  const pattern = /(?:^|[\s;}])(?:import|export)(?:[\s\w*{},$]*?\sfrom)?\s*'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/g
  return [...code.matchAll(pattern)].map((match) => {
    const specifier = (match[1] ?? match[2])!
    if (!specifier.startsWith('.')) return { from, specifier, to: undefined }
    const to = posix.join(posix.dirname(from), specifier).replace(/\.js$/, '.ts')
    return { from, specifier, to: sources.includes(`${to}x`) ? `${to}x` : to }
  })
}

const imports = sources.flatMap(importsOf)
const isIn = (path: string, place: string): boolean => path === place || path.startsWith(`${place}/`)
const layerOf = (path: string): number => layers.findIndex((places) => places.some((place) => isIn(path, place)))
const adapterOf = (path: string): string | undefined => /^adapters\/[^/]+/.exec(path)?.[0]
const integrationOf = (path: string): string | undefined => /^integrations\/[^/]+/.exec(path)?.[0]
const show = ({ from, specifier }: Import): string => `${from} imports ${specifier}`

describe('imports', () => {
  test('are found', () => {
    expect(imports.length).toBeGreaterThan(0)
    const missing = imports.filter(({ to }) => to !== undefined && !sources.includes(to))
    expect(missing.map(show), 'imports of files that do not exist').toEqual([])
  })

  test('know the layer of every file', () => {
    const unknown = sources.filter((path) => layerOf(path) < 0 && !adapterOf(path) && !integrationOf(path))
    expect(unknown, 'files without a place in the table of layers').toEqual([])
  })

  test('never point to a higher layer', () => {
    const upward = imports.filter(({ from, to }) => to !== undefined && isIn(to, 'src') && layerOf(to) > layerOf(from))
    expect(upward.filter(({ from }) => isIn(from, 'src')).map(show)).toEqual([])
  })

  test('of adapters by src are for the command line only', () => {
    const toAdapters = imports.filter(({ from, to }) => isIn(from, 'src') && to !== undefined && isIn(to, 'adapters'))
    expect(toAdapters.filter(({ from }) => !isIn(from, 'src/cli')).map(show)).toEqual([])
  })

  test('by adapters are of the contract only, and not of each other', () => {
    const forbidden = imports.filter(({ from, to }) => {
      const adapter = adapterOf(from)
      if (adapter === undefined || to === undefined) return false
      return ![adapter, ...adaptersMayImport, ...adaptersShare].some((place) => isIn(to, place))
    })
    expect(forbidden.map(show)).toEqual([])
  })

  test('by integrations are of the public face only, and of no other integration', () => {
    const forbidden = imports.filter(({ from, to }) => {
      const integration = integrationOf(from)
      if (integration === undefined || to === undefined) return false
      if ([integration, ...integrationsShare].some((place) => isIn(to, place))) return false
      return integrationOf(to) !== undefined || !publicSources.includes(to)
    })
    expect(forbidden.map(show)).toEqual([])
  })

  test('of integrations are made by nothing but integrations', () => {
    const outside = imports.filter(({ from, to }) => to !== undefined && integrationOf(to) && !integrationOf(from))
    expect(outside.map(show)).toEqual([])
  })

  test('of packages by integrations are of optional peers', () => {
    const forbidden = imports.filter(
      ({ from, specifier, to }) =>
        integrationOf(from) && to === undefined && !optionalPeers.some((name) => isIn(specifier, name)),
    )
    expect(forbidden.map(show)).toEqual([])
  })

  test('of packages are those that the package depends on', () => {
    const forbidden = imports.filter(({ from, specifier, to }) => {
      if (to !== undefined || !isIn(from, 'src')) return false
      const place = Object.keys(packages).find((candidate) => isIn(from, candidate))
      return !corePackages.test(specifier) && !(place !== undefined && packages[place]!.test(specifier))
    })
    expect(forbidden.map(show)).toEqual([])
  })
})

/** Which file imports which, in any way. */
const graph = new Map(
  sources.map((path) => [path, imports.filter(({ from }) => from === path).flatMap(({ to }) => to ?? [])]),
)

/** Groups of files, each of which reaches all others of its group; lower ones first (Tarjan). */
function components(): string[][] {
  const found: string[][] = []
  const lowest = new Map<string, number>()
  const open: string[] = []
  const visit = (path: string): number => {
    const at = lowest.size
    lowest.set(path, at)
    open.push(path)
    let low = at
    for (const to of graph.get(path) ?? []) {
      if (!lowest.has(to)) low = Math.min(low, visit(to))
      else if (open.includes(to)) low = Math.min(low, lowest.get(to)!)
    }
    lowest.set(path, low)
    if (low === at) found.push(open.splice(open.indexOf(path)).toSorted())
    return low
  }
  for (const path of sources) if (!lowest.has(path)) visit(path)
  return found
}

/** The levels of a room: how many of its files lie on the longest chain of imports in it. */
function levelsOf(room: string): number {
  const levels = new Map<string, number>()
  for (const group of components()) {
    // A room within it counts by itself.
    const inner = Object.keys(mostLevels).filter((other) => other !== room && isIn(other, room))
    const inside = group.filter((path) => isIn(path, room) && !inner.some((other) => isIn(path, other)))
    const below = inside.flatMap((path) => graph.get(path)!).map((to) => levels.get(to) ?? 0)
    const level = Math.max(0, ...below) + inside.length
    for (const path of inside) levels.set(path, level)
  }
  return Math.max(...levels.values())
}

describe('import circles', () => {
  test('of src, adapters and integrations, through types and dynamic imports, are none', () => {
    expect(components().filter((group) => group.length > 1)).toEqual([])
  })

  test.each(Object.entries(mostLevels))('and levels within %s are at most %i', (room, most) => {
    expect(levelsOf(room)).toBeLessThanOrEqual(most)
  })
})

describe('files', () => {
  test(`of src, adapters and integrations have at most ${longestFile} lines, but for those that are listed`, () => {
    const long = sources.filter((path) => read(path).split('\n').length - 1 > longestFile)
    expect(long.toSorted()).toEqual(tooLong)
  })

  test('of src, adapters and integrations read no time but through the clock', () => {
    const readers = sources.filter((path) => path !== 'src/clock.ts' && !isIn(path, 'src/cli'))
    expect(readers.filter((path) => /\bnew Date\(\)|(?<!new )\bDate\(\)/.test(read(path)))).toEqual([])
  })

  test('of test leave no case out', () => {
    expect(tests.filter((path) => /\.(only|skip|todo|skipIf|runIf)(\.each)?\(/.test(read(path)))).toEqual([])
  })

  test('name no registry and no path of a machine', () => {
    const machine = /(^|[\s"'`(=:])\/(work|root|tmp|home|Users)\//m
    const registry = /\bregistry\.[a-z0-9-]+\.[a-z]{2,}|"resolved":/i
    const texts = files.filter((path) => path !== 'test/house/architecture.test.ts' && !read(path).includes('\0'))
    expect(texts.filter((path) => machine.test(read(path)) || registry.test(read(path)))).toEqual([])
  })
})
