/** Builds the site in dist/site: the pages, and the API reference from the docstrings of what the package exports. */
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Application, LogLevel } from 'typedoc'
import { build } from 'vitepress'
import { libraryEntries, manifest, root } from '../../.ci/entries.mjs'
import { page } from '../../.ci/options.mjs'
import { staged, stagePages } from './pages.mjs'

writeFileSync(join(root, 'docs/options.md'), page())
stagePages()

const app = await Application.bootstrapWithPlugins({
  plugin: ['typedoc-plugin-markdown'],
  outputs: [{ name: 'markdown', path: join(staged, 'api') }],
  name: manifest.name,
  entryPoints: libraryEntries.map(({ source }) => join(root, source)),
  basePath: root,
  tsconfig: join(root, 'tsconfig.json'),
  // The package's own compiler checks it, which is another release.
  skipErrorChecking: true,
  readme: 'none',
  router: 'member',
  entryFileName: 'index',
  hideBreadcrumbs: true,
  disableSources: true,
  excludeExternals: true,
  excludeInternal: true,
  excludePrivate: true,
  excludeProtected: true,
  blockTags: ['@default', '@example', '@internal', '@param', '@returns', '@throws', '@unit', '@when', '@typeParam'],
  logLevel: LogLevel.Warn,
})
const project = await app.convert()
if (!project) throw new Error('The API reference could not be made of the sources.')
for (const { specifier, source } of libraryEntries) {
  const entry = project.children.find(({ name }) => name === source.replace(/(\/index)?\.ts$/, ''))
  if (!entry) throw new Error(`The API reference has no module for "${source}".`)
  entry.name = specifier
}
await app.generateOutputs(project)
renameIndexPages(join(staged, 'api'))

await build(import.meta.dirname)
console.log(`The site is in ${join(import.meta.dirname, 'dist/site')}.`)

/** Vitepress takes a page whose name ends in `Index` for the index of its folder. */
function renameIndexPages(folder) {
  for (const name of readdirSync(folder, { recursive: true })) {
    const file = join(folder, name)
    if (!name.endsWith('.md')) continue
    const text = readFileSync(file, 'utf8').replace(/Index\.md(?=[)#])/g, 'Index_.md')
    rmSync(file)
    writeFileSync(file.replace(/Index\.md$/, 'Index_.md'), text)
  }
}
