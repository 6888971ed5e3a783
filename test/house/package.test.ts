/** Packs the package, installs it into a fresh project without a network, and uses it there as a stranger would. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  name: string
  exports: Record<string, string | { types: string; default: string }>
  dependencies: Record<string, string>
}
const entries = Object.keys(manifest.exports)
  .filter((subpath) => typeof manifest.exports[subpath] === 'object')
  .map((subpath) => manifest.name + subpath.slice(1))

/** The peers that an entry imports, and the types that theirs ask for; of other peers it only takes what they make. */
const importedPeers = ['idb', 'react', '@types/react', 'abstract-level', '@types/node']
/** Entries whose types are built on those of a peer, which ask for more than ours do. */
const onPeerTypes = ['tidemark/level']

/** The stream job of the README, a program as it stands. */
const streamExample = /```ts\n(import [^`]*'tidemark\/stream'[\s\S]*?)```/.exec(
  readFileSync(join(root, 'README.md'), 'utf8'),
)![1]!

const folder = mkdtempSync(join(tmpdir(), 'tidemark-package-'))
const project = join(folder, 'project')
const installed = join(project, 'node_modules', manifest.name)

beforeAll(() => {
  execFileSync(process.execPath, [join(root, '.ci/setup.mjs'), '--build'], { stdio: 'inherit' })
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'stranger', private: true, type: 'module' }))
  // The dependencies are packed from what is installed here, so that nothing is fetched; with them the peers that entries
  // import themselves.
  const packages = withDependencies([...Object.keys(manifest.dependencies), ...importedPeers])
  const tarballs = pack([root, ...packages.map((name) => join(root, 'node_modules', name))])
  execFileSync('npm', ['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', ...tarballs], {
    cwd: project,
    stdio: 'pipe',
  })
}, 120_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** These packages, what they depend on, and so on. */
function withDependencies(names: readonly string[]): string[] {
  const all = new Set(names)
  // The set grows while it is walked.
  for (const name of all) {
    const { dependencies = {} } = JSON.parse(readText(join(root, 'node_modules', name, 'package.json'))) as {
      dependencies?: Record<string, string>
    }
    for (const dependency of Object.keys(dependencies)) all.add(dependency)
  }
  return [...all]
}

function pack(paths: readonly string[]): string[] {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder, ...paths]
  const packed = JSON.parse(execFileSync('npm', args, { cwd: folder }).toString()) as { filename: string }[]
  return packed.map(({ filename }) => join(folder, filename))
}

/** Runs a module in the project and returns what it printed. */
function runModule(code: string): string {
  const file = join(project, 'run.mjs')
  writeFileSync(file, code)
  return execFileSync(process.execPath, [file], { cwd: project }).toString()
}

const modern = {
  target: 'es2022',
  lib: ['es2023', 'esnext.disposable', 'dom'],
  types: [] as string[],
  module: 'nodenext',
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noEmit: true,
  // Those of the compiler itself are not ours.
  skipLibCheck: false,
  skipDefaultLibCheck: true,
}
/** The settings that people compile with: the oldest library that we ask for, and the two ways of finding modules. */
const settings: readonly [name: string, options: object][] = [
  ['nodenext', modern],
  ['nodenext, without esnext.disposable', { ...modern, lib: ['es2022', 'dom'] }],
  [
    'bundler, without esnext.disposable',
    { ...modern, lib: ['es2022', 'dom'], module: 'esnext', moduleResolution: 'bundler' },
  ],
  ['bundler, not strict', { ...modern, module: 'preserve', strict: false, exactOptionalPropertyTypes: false }],
  ['a worker', { ...modern, lib: ['es2022', 'webworker'], module: 'esnext', moduleResolution: 'bundler' }],
]

/** The errors of the compiler about these modules. */
function typecheck(...modules: string[]): string {
  return typecheckWith({ ...modern, skipLibCheck: true }, ...modules)
}

function typecheckWith(compilerOptions: object, ...modules: string[]): string {
  const files = modules.map((_, i) => (i === 0 ? 'consumer.ts' : `consumer-${i}.ts`))
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
  for (const [i, file] of files.entries()) writeFileSync(join(project, file), modules[i]!)
  try {
    return execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', project]).toString()
  } catch (error) {
    return String((error as { stdout: Buffer }).stdout)
  }
}

describe('the packed package', () => {
  test('holds what is documented and nothing else', () => {
    const allowed = [
      'CHANGELOG.md',
      'CONTRIBUTING.md',
      'LICENSE',
      'README.md',
      'SECURITY.md',
      'dist',
      'docs',
      'package.json',
    ]
    expect(readdirSync(installed).toSorted()).toEqual(allowed)
  })

  test('imports each entry', () => {
    const printed = runModule(`
      const found = {}
      for (const specifier of ${JSON.stringify(entries)}) found[specifier] = Object.keys(await import(specifier)).length
      console.log(JSON.stringify(found))`)
    const found = JSON.parse(printed) as Record<string, number>
    expect(Object.keys(found)).toEqual(entries)
    expect(
      Object.values(found).every((names) => names > 0),
      printed,
    ).toBe(true)
  })

  test('has one error class for all entries', () => {
    const bundles = readdirSync(join(installed, 'dist'), { recursive: true, encoding: 'utf8' })
    const defining = bundles
      .filter((file) => file.endsWith('.js'))
      .filter((file) =>
        /\bclass TidemarkError\b|\bTidemarkError = class\b/.test(readText(join(installed, 'dist', file))),
      )
    expect(defining).toHaveLength(1)
  })

  test('throws its error class from a store in memory', () => {
    const printed = runModule(`
      import { isTidemarkError, openStore, TidemarkError } from 'tidemark'
      import { memory } from 'tidemark/memory'
      try {
        await openStore({ storage: memory(), name: 'x'.repeat(65) })
      } catch (error) {
        console.log(error instanceof TidemarkError, isTidemarkError(error), error.code)
      }`)
    expect(printed.trim()).toBe('true true INVALID_ARGUMENT')
  })

  test('has a command', () => {
    const command = join(project, 'node_modules/.bin', manifest.name)
    expect(execFileSync(command, ['--help']).toString()).toMatch(/^Usage: tidemark/)
  })

  test('has a command that names the package which s3:// needs, and needs it for nothing else', () => {
    const command = join(project, 'node_modules/.bin', manifest.name)
    const { status, stdout, stderr } = spawnSync(command, ['inspect', 's3://bucket/state'], { encoding: 'utf8' })
    expect([status, stdout]).toEqual([1, ''])
    expect(stderr).toBe(
      'tidemark: INVALID_ARGUMENT: s3:// addresses need the package @aws-sdk/client-s3: npm install @aws-sdk/client-s3\n',
    )
  })
})

/** A program with streams, which are typed by their sources and the store. */
const streams = `
  import { openStore } from 'tidemark'
  import { memory } from 'tidemark/memory'
  import { consume, fromIterable } from 'tidemark/stream'
  import { csvFile, ndjsonFile } from 'tidemark/stream/node'

  const store = await openStore<string, number>({ storage: memory(), name: 'clicks' })
  interface Click { page: string; at?: number }
  const clicks = ndjsonFile('./clicks', { key: (click: Click) => click.page })
  await consume(store, clicks, ({ key, value }, state) => state.put(key, value.page.length))
  const rows = csvFile('./rows', { key: 'id' })
  await consume(store, rows, ({ key, value }, state) => state.put(key, Number(value['n'])))
  const listed = fromIterable('list', [{ id: 'a', n: 1 }], { key: 'id' })
  await consume(store, listed, ({ key, value }, state) => state.put(key, value.n))
`

/** One with watches and listeners. */
const watches = `
  import { openStore, type WatchChange } from 'tidemark'
  import { memory } from 'tidemark/memory'

  const store = await openStore<string, number>({ storage: memory(), name: 'orders' })
  store.watch({ prefix: 'a' }, ([change]) => change!.after!.toFixed())
  store.watch<string, Date>({ table: 'users' }, ([change]) => change!.after!.getTime())
  store.watch({ table: 'users' }, (changes: readonly WatchChange<string, Date>[]) => changes[0]!.after!.getTime())
  store.on('version', async ({ version }) => version.toFixed())
  await store.close()
`

describe('its types', () => {
  test('accept a program that follows the documentation', () => {
    const errors = typecheck(`
      import { openStore } from 'tidemark'
      import { memory } from 'tidemark/memory'

      interface Order { total: number }
      const store = await openStore<string, Order>({ storage: memory(), name: 'orders' })
      try {
        store.put('o-1', { total: 12 })
        const { version } = await store.commit()
        const order: Order | undefined = await store.get('o-1')
        const result: [number, number | undefined] = [version, order?.total]
        void result
      } finally {
        await store.close()
      }`)
    expect(errors).toBe('')
  })

  test('refuse a value of another type', () => {
    const errors = typecheck(`
      import { openStore } from 'tidemark'
      import { memory } from 'tidemark/memory'

      const store = await openStore<string, number>({ storage: memory(), name: 'orders' })
      store.put('o-1', 'twelve')`)
    expect(errors).toContain('consumer.ts(6,')
  })

  test.each(settings)('need no types but their own, and know keys and values: %s', (_, options) => {
    const own = entries.filter((specifier) => !onPeerTypes.includes(specifier))
    const everything = own.map((specifier) => `export * from '${specifier}'`)
    expect(typecheckWith(options, ...everything, streams, streamExample, watches)).toBe('')
  })

  test.each(onPeerTypes)('need no more than those of its peer: %s', (specifier) => {
    const everything = `export * from '${specifier}'`
    expect(typecheckWith({ ...modern, types: ['node'] }, everything)).toBe('')
  })

  test('know keys and values of a level', () => {
    const program = (put: string): string => `
      import { TidemarkLevel } from 'tidemark/level'
      import { memory } from 'tidemark/memory'

      const db = new TidemarkLevel<string, { n: number }>({ storage: memory(), name: 'app' }, { valueEncoding: 'json' })
      ${put}
      for await (const [key, value] of db.iterator({ gte: 'a', reverse: true })) console.log(key.length, value.n)
      const sub = db.sublevel<string, number>('sub', { valueEncoding: 'json' })
      const found: number | undefined = await sub.get('a')
      export { found }`
    const options = { ...modern, types: ['node'], skipLibCheck: true }
    expect(typecheckWith(options, program("await db.put('a', { n: 1 })"))).toBe('')
    expect(typecheckWith(options, program("await db.put('a', 'text')"))).toContain('consumer.ts(6,')
  })

  test('refuse what nothing is known of', () => {
    const errors = typecheck(`
      import { openStore } from 'tidemark'
      import { memory } from 'tidemark/memory'
      import { consume, fromIterable } from 'tidemark/stream'

      const store = await openStore<string, number>({ storage: memory(), name: 'orders' })
      await consume(store, fromIterable('list', [1]), ({ key }, state) => state.put(key, 1))
      store.watch({ table: 'users' }, ([change]) => change!.after!.toFixed())`)
    expect(errors.match(/consumer\.ts\(\d+/g)).toEqual(['consumer.ts(7', 'consumer.ts(8'])
  })

  test('take options that may be undefined', () => {
    const errors = typecheck(`
      import { deadlines, metered, openStore, retrying, type Clock } from 'tidemark'
      import { memory } from 'tidemark/memory'
      import { consume, fromIterable } from 'tidemark/stream'

      const given: { clock?: Clock; ms?: number; text?: string; limit?: number; progress?: () => Promise<void> } = {}
      const { clock, ms, text, limit, progress } = given
      const storage = metered(retrying(deadlines(memory({ clock }), { clock, timeoutMs: ms }), { tries: ms, clock }), {
        prices: { put: ms, byteRead: ms },
      })
      const store = await openStore({ storage, name: 'a', ttlMs: ms, job: text, clock, retain: { versions: ms } })
      for await (const key of store.keys({ prefix: text, limit })) void key
      await store.commit({ label: text, offsets: undefined })
      await consume(store, fromIterable('s', [1], { key: undefined }), () => {}, { everyMs: ms, onProgress: progress })
    `)
    expect(errors).toBe('')
  })
})

function readText(path: string): string {
  return readFileSync(path, 'utf8')
}
