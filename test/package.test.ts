/** Packs the package, installs it into a fresh project without a network, and uses it there as a stranger would. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  name: string
  exports: Record<string, string | { types: string; default: string }>
  dependencies: Record<string, string>
}
const entries = Object.keys(manifest.exports)
  .filter((subpath) => typeof manifest.exports[subpath] === 'object')
  .map((subpath) => manifest.name + subpath.slice(1))

const folder = mkdtempSync(join(tmpdir(), 'tidemark-package-'))
const project = join(folder, 'project')
const installed = join(project, 'node_modules', manifest.name)

beforeAll(() => {
  execFileSync(process.execPath, [join(root, '.ci/setup.mjs'), '--build'], { stdio: 'inherit' })
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'stranger', private: true, type: 'module' }))
  // The dependencies are packed from what is installed here, so that nothing is fetched; with them the one peer that an
  // adapter imports itself.
  const names = [...Object.keys(manifest.dependencies), 'idb']
  const dependencies = names.map((name) => join(root, 'node_modules', name))
  const tarballs = [root, ...dependencies].map(pack)
  execFileSync('npm', ['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', ...tarballs], {
    cwd: project,
    stdio: 'pipe',
  })
}, 120_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

function pack(path: string): string {
  const output = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: path,
  })
  const [packed] = JSON.parse(output.toString()) as [{ filename: string }]
  return join(folder, packed.filename)
}

/** Runs a module in the project and returns what it printed. */
function runModule(code: string): string {
  const file = join(project, 'run.mjs')
  writeFileSync(file, code)
  return execFileSync(process.execPath, [file], { cwd: project }).toString()
}

/** What the compiler says of these modules. */
function typecheck(...modules: string[]): string {
  const files = modules.map((_, i) => (i === 0 ? 'consumer.ts' : `consumer-${i}.ts`))
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable', 'dom'],
    types: [],
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck: false,
  }
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
    const allowed = ['CHANGELOG.md', 'LICENSE', 'README.md', 'dist', 'docs', 'package.json']
    expect(readdirSync(installed).filter((name) => !allowed.includes(name))).toEqual([])
  })

  test.each(entries)('imports %s', (specifier) => {
    const names = runModule(`console.log(Object.keys(await import('${specifier}')).join(' '))`)
    expect(names.trim()).not.toBe('')
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

  test('need no types but their own, in every entry', () => {
    expect(typecheck(...entries.map((specifier) => `export * from '${specifier}'`))).toBe('')
  })
})

function readText(path: string): string {
  return readFileSync(path, 'utf8')
}
