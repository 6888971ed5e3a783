import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { temporaryFolder } from './support/storages.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const blocks = [...readme.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code]) => code!)

/** Runs code as a user's module would be run, with the built package. */
async function run(code: string, cwd: string): Promise<string> {
  const resolved = code.replace(/from '(tidemark[^']*)'/g, (_, name: string) => `from '${import.meta.resolve(name)}'`)
  writeFileSync(join(cwd, 'example.mjs'), resolved)
  const { stdout } = await promisify(execFile)(process.execPath, ['example.mjs'], { cwd })
  return stdout
}

test('the thirty lines of the README do what they say', async () => {
  const output = await run(blocks[0]!, temporaryFolder())
  expect(output).toContain('version 2 is durable')
  expect(output).toContain('{ total: 12 }')
  expect(output).toContain("name: 'Ada'")
  expect(output).toContain('3 { clicks: 1042 }')
})

test('the stream job of the README counts, and counts on where it left off', async () => {
  const folder = temporaryFolder()
  const open = `import { openStore } from 'tidemark'\nimport { nodeFs } from 'tidemark/node-fs'\nconst store = await openStore({ storage: nodeFs('./state'), name: 'clicks' })\n`
  const show = `console.log(JSON.stringify([await store.get('/a'), await store.get('/b')]))\nawait store.close()\n`
  const line = (page: string): string => `${JSON.stringify({ page })}\n`
  writeFileSync(join(folder, 'clicks.ndjson'), line('/a') + line('/b') + line('/a'))
  expect(await run(open + blocks[1]! + show, folder)).toBe('[2,1]\n')
  writeFileSync(join(folder, 'clicks.ndjson'), line('/a') + line('/b') + line('/a') + line('/b'))
  expect(await run(open + blocks[1]! + show, folder)).toBe('[2,2]\n')
})

test('every command that the README and the docs tell of is there', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object }
  const docs = readdirSync(join(root, 'docs')).map((name) => readFileSync(join(root, 'docs', name), 'utf8'))
  const named = [readme, ...docs].flatMap((text) => [...text.matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name!))
  expect(named).toContain('test:browsers')
  expect(named.filter((name) => !(name in scripts))).toEqual([])
})
