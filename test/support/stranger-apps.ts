/** Web apps as their authors would write them after reading README.md: their files, by path. */

/** What people get from Vite's template for React and TypeScript. */
const tsconfig = JSON.stringify({
  compilerOptions: {
    target: 'ES2022',
    lib: ['ES2022', 'DOM', 'DOM.Iterable'],
    types: ['vite/client'],
    module: 'ESNext',
    moduleResolution: 'bundler',
    moduleDetection: 'force',
    allowImportingTsExtensions: true,
    verbatimModuleSyntax: true,
    isolatedModules: true,
    noEmit: true,
    jsx: 'react-jsx',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noUnusedLocals: true,
    noUnusedParameters: true,
    erasableSyntaxOnly: true,
  },
  include: ['src'],
})

const html = (script: string, root = ''): string => `<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><title>Notes</title></head>
  <body><div id="root">${root}</div><script type="module" src="${script}"></script></body>
</html>
`

/** Lists what each output was made of beside it, for the tests. */
const told = `{
  name: 'told',
  generateBundle(_, bundle) {
    const modules = Object.values(bundle).flatMap(({ moduleIds = [] }) => moduleIds)
    this.emitFile({ type: 'asset', fileName: 'modules.json', source: JSON.stringify(modules) })
  },
}`

const APP = `import { indexedDb } from 'tidemark/indexeddb'
import { TidemarkProvider, useEntries, useStore, useValue, useVersion } from 'tidemark/react'

interface Note {
  text: string
  stars: number
}

export const storage = indexedDb('my-app')

export function App() {
  return (
    <TidemarkProvider storage={storage} name="notes" early>
      <h1>Notes</h1>
      <Notes />
    </TidemarkProvider>
  )
}

function Notes() {
  const store = useStore<string, Note>({ optional: true })
  const notes = useEntries<string, Note>({ prefix: 'n-' })
  const milk = useValue<string, Note>('n-1')
  const star = () => store?.update('n-1', (note = { text: 'Buy milk', stars: 0 }) => ({ ...note, stars: note.stars + 1 }))
  return (
    <main>
      <button disabled={!store} onClick={star}>
        Star
      </button>
      <ul>
        {notes.map(([id, note]) => (
          <li key={id}>
            {note.text} {note.stars}
          </li>
        ))}
      </ul>
      <p>
        {milk ? milk.stars : 'no'} stars, version {useVersion()}
      </p>
    </main>
  )
}
`

/** A page that is built and served. */
export const page: Readonly<Record<string, string>> = {
  'page/tsconfig.json': tsconfig,
  'page/index.html': html('/src/main.tsx'),
  'page/vite.config.ts': `import { defineConfig } from 'vite'

export default defineConfig({ base: './', plugins: [${told}] })
`,
  'page/src/app.tsx': APP,
  'page/src/main.tsx': `import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './app.tsx'

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <App />
  </StrictMode>,
)
`,
  'page/src/wrong.tsx': `import { useEntries } from 'tidemark/react'

export const Wrong = () => <p>{useEntries<string, number>({ prefix: 'a' })[0]?.[1].text}</p>
`,
}

/** The same, rendered by a server and taken over by the browser. React says what is amiss only when it is built for development. */
export const server: Readonly<Record<string, string>> = {
  'server/index.html': html('/src/client.tsx', '<!--app-->'),
  'server/vite.config.ts': `import { defineConfig } from 'vite'

export default defineConfig({ base: './' })
`,
  'server/src/app.tsx': APP,
  'server/src/client.tsx': `import { hydrateRoot } from 'react-dom/client'
import { App } from './app.tsx'

hydrateRoot(document.getElementById('root')!, <App />)
`,
  'server/src/server.tsx': `import { renderToString } from 'react-dom/server'
import { App } from './app.tsx'

export const render = () => renderToString(<App />)
`,
  'server/render.mjs': `import { readFileSync, writeFileSync } from 'node:fs'
import { render } from './dist/server/server.js'

const page = readFileSync('server/dist/client/index.html', 'utf8')
writeFileSync('server/dist/client/index.html', page.replace('<!--app-->', render()))
`,
}

/** A service worker in one file, since there is no import() in one, and its page. */
export const worker: Readonly<Record<string, string>> = {
  'worker/index.html': '<!doctype html><title>Worker</title>',
  'worker/vite.config.ts': `import { defineConfig } from 'vite'

export default defineConfig({
  build: {
    rolldownOptions: { input: 'src/sw.ts', output: { entryFileNames: 'sw.js', codeSplitting: false } },
  },
})
`,
  'worker/src/sw.ts': `import { openStore } from 'tidemark'
import { indexedDb } from 'tidemark/indexeddb'

const opening = openStore<string, number>({ storage: indexedDb('visits'), name: 'visits' })
addEventListener('activate', (event: any) => event.waitUntil((globalThis as any).clients.claim()))
addEventListener('message', (event: any) => {
  const count = async () => {
    const store = await opening
    await store.update('page', (visits = 0) => visits + 1)
    await store.checkpoint()
    event.source.postMessage({ visits: await store.get('page'), folds: store.metrics().folds })
  }
  event.waitUntil(count().catch((error) => event.source.postMessage({ error: String(error) })))
})
`,
}

/** A worker of a page, which counts. Vite makes several files of it. */
export const counter: Readonly<Record<string, string>> = {
  'counter/index.html': html('/src/main.ts'),
  'counter/vite.config.ts': `export default { base: './', worker: { format: 'es' } }
`,
  'counter/src/main.ts': `const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
worker.onmessage = ({ data }) => void (document.body.textContent = data)
`,
  'counter/src/worker.ts': `import { openStore } from 'tidemark'
import { indexedDb } from 'tidemark/indexeddb'

const store = await openStore<string, number>({ storage: indexedDb('counter'), name: 'counter' })
await store.update('visits', (visits = 0) => visits + 1)
postMessage(\`Visit \${await store.get('visits')}\`)
`,
}

/** A page that is one file, with its script in it. */
export const single: Readonly<Record<string, string>> = {
  'single/index.html': html('/src/main.tsx'),
  'single/vite.config.ts': `import { defineConfig } from 'vite'

const inline = {
  name: 'inline',
  // Vite itself changes the code until the end.
  generateBundle: {
    order: 'post',
    handler(_, bundle) {
      const page = bundle['index.html']
      for (const [name, { type, code }] of Object.entries(bundle)) {
        if (type !== 'chunk') continue
        const script = '<script type="module">' + code.replaceAll('</script', '<\\\\/script') + '</script>'
        const rest = page.source.replace(/<script[^>]*src[^>]*><\\/script>/, '')
        page.source = rest.replace('</body>', () => script + '</body>')
        delete bundle[name]
      }
    },
  },
}
export default defineConfig({
  plugins: [inline],
  build: { modulePreload: false, rolldownOptions: { output: { codeSplitting: false } } },
})
`,
  'single/src/app.tsx': APP,
  'single/src/main.tsx': page['page/src/main.tsx']!,
}

/** The app with a unit test, in jsdom and over fake-indexeddb. */
export const unit: Readonly<Record<string, string>> = {
  'vitest.config.ts': `import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: { environment: 'jsdom', setupFiles: ['fake-indexeddb/auto'], include: ['unit/**/*.test.tsx'] },
})
`,
  'unit/src/app.tsx': APP,
  'unit/src/app.test.tsx': `import { cleanup, fireEvent, render, screen } from '@testing-library/react'
import { IDBFactory } from 'fake-indexeddb'
import { openStore } from 'tidemark'
import { indexedDb } from 'tidemark/indexeddb'
import { afterEach, expect, test } from 'vitest'
import { App } from './app.tsx'

afterEach(cleanup)

test('a note gets a star, and has it when the page is there again', async () => {
  const { unmount } = render(<App />)
  await expect.poll(() => screen.getByRole('button').hasAttribute('disabled')).toBe(false)
  fireEvent.click(screen.getByRole('button'))
  await screen.findByText('Buy milk 1')
  unmount()

  render(<App />)
  await screen.findByText('Buy milk 1')
  fireEvent.click(await screen.findByRole('button'))
  await screen.findByText('Buy milk 2')
})

test('what a store keeps is there when it is opened again, with every kind of value', async () => {
  const options = { storage: indexedDb('other'), name: 'kinds' }
  const values = { bytes: new Uint8Array([1, 2]), at: new Date(5), big: 7n, map: new Map([['a', new Set([1])]]) }
  const store = await openStore(options)
  await store.set('all', values)
  await store.checkpoint()
  await store.close()
  const again = await openStore({ ...options, storage: indexedDb('other') })
  expect(await again.get('all')).toEqual(values)
  expect(await again.toArray()).toHaveLength(1)
  await again.close()
})

test('a new factory is an empty browser', async () => {
  indexedDB = new IDBFactory()
  const store = await openStore({ storage: indexedDb('other'), name: 'kinds' })
  expect(store.version).toBe(0)
  await store.close()
})
`,
}
