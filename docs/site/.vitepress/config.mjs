/** The site: vitepress reads dist/pages and writes dist/site. A link that leads nowhere fails the build. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { libraryEntries } from '../../../.ci/entries.mjs'
import { staged } from '../pages.mjs'

const GUIDES = ['behaviour', 'options', 'adapters', 'command-line', 'performance', 'glossary']
const INSIDE = ['architecture', 'protocol', 'format', 'decisions']

const titleOf = (name) => /^# (.*)$/m.exec(readFileSync(join(staged, `${name}.md`), 'utf8'))?.[1] ?? name
const link = (name) => ({ text: titleOf(name).replaceAll('`', ''), link: `/${name}` })

/** As GitHub makes them, so that one link serves both. */
function slugify(heading) {
  return heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')
}

export default {
  title: 'Tidemark',
  description: 'Durable, versioned state for browsers, edge functions and servers.',
  srcDir: 'dist/pages',
  outDir: 'dist/site',
  cacheDir: 'dist/cache',
  cleanUrls: true,
  markdown: { anchor: { slugify } },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [link('options'), { text: 'API', link: '/api/' }, link('changelog')],
    sidebar: [
      { text: 'Guide', items: [{ text: 'Tidemark', link: '/' }, ...GUIDES.map(link)] },
      { text: 'How it is built', items: INSIDE.map(link) },
      { text: 'API', items: libraryEntries.map(({ specifier }) => ({ text: specifier, link: `/api/${specifier}/` })) },
    ],
  },
}
