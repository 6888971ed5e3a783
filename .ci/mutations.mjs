/**
 * Source mutations: each leaves a rule of the protocol out of a copy of the sources (docs/protocol.md). A test that imports a
 * module with `?mutation=NAME` gets it, and all that it imports of this repository, with the texts of that mutation replaced:
 * modules of their own, beside the sound ones. So nothing in the sources has to know that a rule could be missing.
 *
 * A mutation that finds its text not exactly once fails: it would silently leave nothing out.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './entries.mjs'
import { mutations } from '../test/mutations.mjs'

const QUERY = /[?&]mutation=([\w.-]+)$/

export const mutationsPlugin = {
  name: 'mutations',
  enforce: 'pre',

  async resolveId(source, importer) {
    const name = QUERY.exec(source)?.[1] ?? QUERY.exec(importer ?? '')?.[1]
    if (name === undefined) return undefined
    const resolved = await this.resolve(source.replace(QUERY, ''), importer?.replace(QUERY, ''), { skipSelf: true })
    if (!resolved || resolved.external || !isOwn(resolved.id)) return resolved
    return `${resolved.id}?mutation=${name}`
  },

  load(id) {
    const name = QUERY.exec(id)?.[1]
    if (name === undefined) return undefined
    const file = id.replace(QUERY, '')
    const mutation = mutations[name]
    if (mutation === undefined) throw new Error(`There is no mutation "${name}" in test/mutations.mjs.`)
    let code = readFileSync(file, 'utf8')
    for (const { file: of, find, replace } of mutation.edits) {
      if (join(root, of) !== file) continue
      const parts = code.split(find)
      if (parts.length !== 2)
        throw new Error(`Mutation "${name}": its text is ${parts.length - 1} times in ${of}, not once.`)
      code = parts.join(replace)
    }
    return code
  },
}

function isOwn(id) {
  return id.startsWith(`${root}/`) && !id.includes('/node_modules/')
}
