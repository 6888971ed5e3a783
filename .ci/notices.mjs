/** A plugin that puts the licenses of the bundled packages into the package, as these licenses ask. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { root } from './entries.mjs'

export const noticesPlugin = {
  name: 'notices',
  generateBundle(_options, output) {
    const modules = Object.values(output).flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : []))
    const folders = [...new Set(modules.map(packageFolder).filter(Boolean))].sort((a, b) => (a < b ? -1 : 1))
    const source = folders.map(notice).join(`\n${'-'.repeat(80)}\n\n`)
    this.emitFile({ type: 'asset', fileName: 'THIRD-PARTY-NOTICES.txt', source })
  },
}

/** `node_modules/a` or `node_modules/a/node_modules/@b/c` of a module, undefined when the module is ours. */
function packageFolder(id) {
  const path = relative(root, id).split(sep).join('/')
  return /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]
}

function notice(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
  const file = readdirSync(join(root, folder)).find((entry) => /^licen[cs]e/i.test(entry))
  if (!file) throw new Error(`${name} is bundled and comes without the text of its license.`)
  return `${name} ${version} (${license})\n\n${readFileSync(join(root, folder, file), 'utf8').trim()}\n`
}
