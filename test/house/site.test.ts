/** The pages of the site, without what builds it: `npm run docs` installs that, and checks all links once more. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { pages, root } from '../support/blocks.js'
import { temporaryFolder } from '../support/storages.js'

const { stagePages } = (await import(join(root, 'docs/site/pages.mjs'))) as { stagePages: (folder: string) => void }

test('the site has every page, and each link of a page leads to another one', () => {
  const folder = join(temporaryFolder(), 'pages')
  stagePages(folder)
  const staged = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.md'))
  expect(staged.length).toBeGreaterThan(pages.length)
  const links = staged.flatMap((page) => {
    const prose = readFileSync(join(folder, page), 'utf8').replace(/^(`{3,})[^]*?^\1$/gm, '')
    return [...prose.matchAll(/(?:\]\(|src(?:set)?=")(?!\w+:|#)([^)"\s#]+)/g)].map(([, target = '']) => ({
      page,
      target,
    }))
  })
  expect(links.length).toBeGreaterThan(20)
  const broken = links.filter(({ page, target }) => !existsSync(join(folder, dirname(page), target)))
  expect(broken).toEqual([])
})

test('what builds the site is locked, and comes from no named registry', () => {
  const read = (name: string): string => readFileSync(join(root, 'docs/site', name), 'utf8')
  const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: Record<string, string> }
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { devDependencies?: object }>
  }
  expect(packages['']!.devDependencies).toEqual(devDependencies)
  expect(Object.values(devDependencies).filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([])
  expect(read('package-lock.json')).not.toMatch(/"resolved"/)
})
