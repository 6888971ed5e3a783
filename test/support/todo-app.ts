/** The to-do app of demo/todo as a bundler makes it, on the built package, in a folder that the tests' server has. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { bundleOptions } from '../../.ci/bundle.mjs'

const FOLDER = 'node_modules/.cache/todo'

/** Returns the path of its page. What the package loads when it is needed stays apart, as bundlers have it. */
export async function buildTodoApp(): Promise<string> {
  const { cwd } = bundleOptions
  const folder = join(cwd, FOLDER)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const bundle = await rolldown({
    input: join(cwd, 'demo/todo/app.jsx'),
    cwd,
    platform: 'browser',
    // Bundlers say that `'use client'` means nothing to them.
    onLog: () => undefined,
    transform: { define: { 'process.env.NODE_ENV': '"production"' }, jsx: { runtime: 'automatic' } },
  })
  await bundle.write({ dir: folder, format: 'esm', entryFileNames: 'app.js', minify: true })
  await bundle.close()
  const page = readFileSync(join(cwd, 'demo/todo/index.html'), 'utf8')
  writeFileSync(join(folder, 'index.html'), page.replace('app.jsx', 'app.js'))
  return `/${FOLDER}/index.html`
}
