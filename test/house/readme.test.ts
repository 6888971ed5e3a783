/** Every code block of README, CHANGELOG and docs runs and compiles as it stands, in the order in which it stands. */
import { appendFileSync, existsSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { browsers } from '../support/chromium.js'
import { blocksOf, compile, pages, readersFolder, root, run, type Block, type Ended } from '../support/blocks.js'
import { startS3Server, type S3Server } from '../support/s3-server.js'
import { temporaryFolder } from '../support/storages.js'

/** How a block is run, by words that no other block of its page has. */
type Plan =
  /** Its types are checked, and Node runs it; `as` gives it a name for those after it. */
  | {
      readonly has: string
      readonly in: 'node'
      readonly as?: string
      readonly prints?: RegExp
      readonly again?: RegExp
    }
  /** A module of tests. */
  | { readonly has: string; readonly in: 'node --test' }
  /** As a browser loads it, with all that it imports, twice. `ends` follows it, and exports as `shown` what has to be this. */
  | {
      readonly has: string
      readonly in: 'a page'
      readonly ends: string
      readonly first: unknown
      readonly again: unknown
    }
  | { readonly has: string; readonly in: 'a shell'; readonly prints?: RegExp }
  /** Nothing to run. */
  | { readonly has: string; readonly in: 'no program'; readonly why: string }

/** Adds one to the list of things to do, and ticks it off; what is shown at the end. */
const oneMore = (text: string): string => `
  const until = async (is) => { while (!is()) await new Promise((next) => setTimeout(next, 10)) }
  const items = () => [...document.querySelectorAll('li')]
  const before = Number(localStorage.items ?? 0)
  globalThis.prompt = () => '${text}'
  await until(() => document.querySelector('button') && items().length === before)
  document.querySelector('button').click()
  await until(() => items().length === before + 1)
  items()[before].click()
  await until(() => items()[before].textContent.startsWith('✓'))
  localStorage.items = before + 1
  export const shown = items().map((item) => item.textContent)`

/** The notes after so many runs: as they are read, and as `live` has them. */
const notesShown = (stars: number): unknown => {
  const notes = [
    ['n-1', { text: 'Buy milk', stars }],
    ['n-2', { text: 'Call Ada', stars: 0 }],
  ]
  return [notes, notes]
}

const plans: Readonly<Record<string, readonly Plan[]>> = {
  'README.md': [
    { has: 'npm install tidemark', in: 'a shell' },
    {
      has: "name: 'notes' })",
      in: 'a page',
      ends: `
        await live.ready
        export const shown = [await notes.toArray(), live.current]
        await notes.close()`,
      first: notesShown(1),
      again: notesShown(2),
    },
    {
      has: '<TidemarkProvider',
      in: 'a page',
      ends: oneMore('Buy milk'),
      first: ['✓ Buy milk'],
      again: ['✓ Buy milk', '✓ Buy milk'],
    },
    {
      has: "name: 'orders', partitions: 4",
      in: 'node',
      prints: /version 2 is durable \{ total: 12 \}\n[^]*name: 'Ada'[^]*\n3 \{ clicks: 1042 \}/,
    },
    { has: '>> clicks.ndjson', in: 'a shell' },
    { has: 'consume(store, clicks', in: 'node', prints: /^2 1\n$/, again: /^2 1\n$/ },
    { has: 'importZip(createReadStream', in: 'node', prints: /name: 'monday'/ },
    {
      has: 'npx tidemark inspect ./state\n',
      in: 'a shell',
      prints: /"total": 12[^]*"ada"[^]*tuesday[^]*store +orders/,
    },
  ],
  'docs/adapters.md': [
    { has: 'new S3Client', in: 'node' },
    { has: 'new AwsClient', in: 'node' },
    {
      has: "from 'tidemark/postgres'",
      in: 'no program',
      why: 'it asks a server that a program has; test/adapters/postgres.test.ts starts one',
    },
    { has: '<store>/<shard>/anchor', in: 'no program', why: 'names of objects' },
    { has: 'export function mine', in: 'node', as: 'mine.ts' },
    { has: 'storageSuite({', in: 'node --test' },
  ],
  'docs/react.md': [
    {
      has: '<TidemarkProvider storage',
      in: 'no program',
      why: 'it is demo/todo; test/adapters/todo-tabs.test.ts runs it',
    },
    { has: 'sharedPersist<Counter>', in: 'node', prints: /^1\n$/ },
    { has: 'webStorage(store)', in: 'node', prints: /"theme":"dark"/ },
  ],
  'docs/integrations.md': [
    { has: 'new TidemarkLevel', in: 'node', prints: /^o-2 7\n\{ total: 12 \}\n$/ },
    { has: 'new KeyvTidemark', in: 'node', prints: /^\{ html: '<h1>Hello<\/h1>' \} \[ 1, 2, undefined \]\n$/ },
    { has: 'tidemarkDriver(', in: 'node', prints: /\[ 'users:ada', 'users:ada:photo' \] \{ name: 'Ada' \}/ },
    { has: 'expressStore(session', in: 'node' },
    { has: 'honoSession(store', in: 'node', prints: /^Visit 1 Visit 2\n$/ },
  ],
  'docs/command-line.md': [
    {
      has: 'defineInspector()',
      in: 'a page',
      ends: `
        const heading = () => inspector.shadowRoot.querySelector('[aria-label=Store] h2')?.textContent
        while (!heading()) await new Promise((next) => setTimeout(next, 10))
        export const shown = heading()
        await store.close()`,
      first: 'Store "orders"',
      again: 'Store "orders"',
    },
  ],
  'docs/recipes.md': [
    { has: '"importmap"', in: 'no program', why: 'a page of its own; test/house/starts.test.ts runs it' },
    { has: "from 'vitest'", in: 'no program', why: 'tests for vitest; test/house/starts.test.ts runs them' },
  ],
  'docs/performance.md': [
    { has: 'npm run bench:s3', in: 'no program', why: 'it takes an hour; that the scripts are there is tested below' },
  ],
  'docs/groups.md': [
    {
      has: "name: 'orders', partitions: 64",
      in: 'no program',
      why: 'it runs until it is ended; demo/group does the same',
    },
  ],
  'docs/architecture.md': [
    { has: 'errors · async · callback', in: 'no program', why: 'the layers; test/house/architecture.test.ts has them' },
  ],
}

/** Layouts of bytes, and bytes in hex: test/behaviour/store/format.test.ts and test/adapters/node-fs-log.test.ts hold them against the code. */
const LAYOUTS = { page: 'docs/format.md', languages: ['indented', ''] }

test('every block is named here, with how it is run', () => {
  const unnamed = pages.flatMap(blocksOf).filter(({ page, language, code }) => {
    if (page === LAYOUTS.page && LAYOUTS.languages.includes(language)) return false
    return (plans[page] ?? []).filter(({ has }) => code.includes(has)).length !== 1
  })
  expect(unnamed).toEqual([])
  for (const [page, named] of Object.entries(plans)) {
    const blocks = blocksOf(page)
    expect([page, named.map(({ has }) => blocks.findIndex(({ code }) => code.includes(has)))]).toEqual([
      page,
      blocks.map((_, i) => i),
    ])
  }
})

test('every command that the README and the docs tell of is there', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object }
  const texts = pages.map((page) => readFileSync(join(root, page), 'utf8'))
  const named = texts.flatMap((text) =>
    [...text.matchAll(/npm (?:run ([\w:]+)|test\b)/g)].map(([, name = 'test']) => name),
  )
  expect(named).toContain('test:browsers')
  expect(named).toContain('demo')
  expect(named.filter((name) => !(name in scripts))).toEqual([])
})

describe('the blocks run in their order, on what those before them have left:', () => {
  const chromium = browsers()
  let server!: S3Server
  beforeAll(async () => {
    server = await startS3Server({ bucket: 'my-bucket' })
  })
  afterAll(() => server.close())

  test.each(Object.keys(plans))('%s', async (page) => {
    const { folder, path } = readersFolder()
    const env = {
      PATH: path,
      AWS_ENDPOINT_URL: server.url,
      AWS_ACCESS_KEY_ID: 'AKIDTIDEMARK',
      AWS_SECRET_ACCESS_KEY: 'sEcReT-kEy-0123456789',
      NO_COLOR: '1',
      PORT: '0',
    }
    try {
      const blocks = blocksOf(page)
      const modules = blocks.flatMap((block, i) =>
        /^[jt]sx?$/.test(block.language) ? [[sourceOf(block, i), block.code]] : [],
      )
      if (modules.length > 0)
        expect(await compile(folder, Object.fromEntries(modules) as Record<string, string>)).toBe('')
      for (const [i, block] of blocks.entries()) await runBlock(block, i)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }

    async function runBlock(block: Block, i: number): Promise<void> {
      const plan = plans[page]![i]!
      const file = join('out', sourceOf(block, i).replace(/\.[jt]sx?$/, '.js'))
      const node = (...more: string[]): Promise<Ended> => run(process.execPath, [...more, file], folder, env)
      const ended = (wanted: RegExp | undefined, { code, output }: Ended): void => {
        expect([`${page}:${block.line}`, code, output]).toEqual([`${page}:${block.line}`, 0, output])
        if (wanted) expect(output).toMatch(wanted)
      }
      if (plan.in === 'node') {
        ended(plan.prints, await node())
        if (plan.again) ended(plan.again, await node())
      } else if (plan.in === 'node --test') {
        ended(/# fail 0/, await node('--test', '--test-reporter', 'tap'))
      } else if (plan.in === 'a shell') {
        const code = block.code.replaceAll('https://s3.example.org', server.url)
        ended(plan.prints, await run('bash', ['--norc', '-euo', 'pipefail', '-c', code], folder, env))
      } else if (plan.in === 'a page') {
        expect(await inPage(join(folder, file), plan.ends)).toEqual([plan.first, plan.again])
      }
    }

    function sourceOf({ language }: Block, i: number): string {
      const plan = plans[page]![i]!
      return plan.in === 'node' && plan.as ? plan.as : `block-${i}.${language}`
    }
  })

  /** Runs a module twice, and the second time on what the first one left; resolves to what each has shown. */
  async function inPage(file: string, ends: string): Promise<unknown[]> {
    appendFileSync(file, ends)
    const bundle = await rolldown({
      input: file,
      platform: 'browser',
      transform: { define: { 'process.env.NODE_ENV': '"production"' } },
      logLevel: 'silent',
    })
    const { output } = await bundle.generate({ format: 'esm', codeSplitting: false })
    await bundle.close()
    const running = await chromium.start(temporaryFolder())
    const shown: unknown[] = []
    try {
      for (let i = 0; i < 2; i++) {
        await running.page.goto(`${chromium.pages}/browser-page.html`)
        const load = `import(URL.createObjectURL(new Blob([${JSON.stringify(output[0].code)}], { type: 'text/javascript' })))`
        const html = `document.body.innerHTML = '<div id="root"></div>'`
        shown.push(await running.page.evaluate(`${html}, ${load}.then(({ shown }) => shown)`))
      }
      return shown
    } finally {
      await running.kill()
    }
  }
})

test('the docs that the package carries are those that are tested, and pictures', () => {
  expect(readdirSync(join(root, 'docs')).filter((name) => !name.endsWith('.md'))).toEqual([
    'log.svg',
    'performance-browser.svg',
    'performance-node.svg',
    // The package does not carry these.
    'pictures',
    'site',
  ])
})

test('every link within the repository leads to a page, and to a heading of it', () => {
  const slug = (heading: string): string =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-')
  const broken: string[] = []
  for (const page of [...pages, 'CONTRIBUTING.md', 'SECURITY.md']) {
    const text = readFileSync(join(root, page), 'utf8')
    for (const [, target = ''] of text.matchAll(/(?:\]\(|src=")(?!https?:)([^)"\s]+)[)"]/g)) {
      const [path, heading] = target.split('#') as [string, string | undefined]
      const file = path === '' ? join(root, page) : join(root, dirname(page), path)
      const headings = existsSync(file) ? readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm) : undefined
      if (!headings || (heading !== undefined && ![...headings].some(([, text = '']) => slug(text) === heading)))
        broken.push(`${page}: ${target}`)
    }
  }
  expect(broken).toEqual([])
})
