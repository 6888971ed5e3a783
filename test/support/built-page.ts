/** A page as a bundler makes it, on the built package, in a folder that the tests' server has. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { rolldown } from 'rolldown'
import { bundleOptions } from '../../.ci/bundle.mjs'

/** Returns the path of the page. What the package loads when it is needed stays apart, as bundlers have it. */
export async function buildPage(program: string, html: string): Promise<string> {
  const { cwd } = bundleOptions
  const place = `node_modules/.cache/pages/${basename(program).replace(/\..*/, '')}`
  const folder = join(cwd, place)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const bundle = await rolldown({
    input: join(cwd, program),
    cwd,
    platform: 'browser',
    // Bundlers say that `'use client'` means nothing to them.
    onLog: () => undefined,
    transform: {
      define: { 'process.env.NODE_ENV': '"production"', 'import.meta.env': '{}' },
      jsx: { runtime: 'automatic' },
    },
  })
  await bundle.write({ dir: folder, format: 'esm', entryFileNames: 'app.js', minify: true })
  await bundle.close()
  writeFileSync(join(folder, 'index.html'), html)
  return `/${place}/index.html`
}
