/**
 * Source mutations: each leaves a rule of the protocol out of a copy of the sources (docs/protocol.md). A test imports a module
 * with `?edits=…`, which says what to replace in which files (test/support/mutated.ts). It gets that module anew, and of all that
 * it imports those modules that lead to an edited file: copies of their own, beside the sound ones. So nothing in the sources
 * has to know that a rule could be missing.
 *
 * An edit that finds its text not exactly once fails: it would silently leave nothing out.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './entries.mjs'

const QUERY = /[?&]edits=([\w-]+)$/
/** Imports that are there when a program runs: those of types are not. */
const IMPORTS = /^(?:import|export)\s+(?!type\b)[^'"]*?from\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm

export const mutationsPlugin = {
  name: 'mutations',
  enforce: 'pre',

  async resolveId(source, importer) {
    const query = QUERY.exec(source) ?? QUERY.exec(importer ?? '')
    if (query === null) return undefined
    const resolved = await this.resolve(source.replace(QUERY, ''), importer?.replace(QUERY, ''), { skipSelf: true })
    if (!resolved || resolved.external || !isOwn(resolved.id)) return resolved
    const reached = await reach(this, resolved.id)
    const edited = editsOf(query[1]).map(({ file }) => join(root, file))
    if (QUERY.test(source) && !edited.every((file) => reached.has(file)))
      throw new Error(`${source.replace(QUERY, '')} does not lead to each of ${edited.join(', ')}.`)
    return edited.some((file) => reached.has(file)) ? `${resolved.id}?edits=${query[1]}` : resolved
  },

  load(id) {
    const query = QUERY.exec(id)
    if (query === null) return undefined
    const file = id.replace(QUERY, '')
    let code = readFileSync(file, 'utf8')
    for (const { file: of, find, replace } of editsOf(query[1])) {
      if (join(root, of) !== file) continue
      const parts = code.split(find)
      if (parts.length !== 2)
        throw new Error(`The text of an edit is ${parts.length - 1} times in ${of}, not once: ${find}`)
      code = parts.join(replace)
    }
    return code
  },
}

function editsOf(query) {
  return JSON.parse(Buffer.from(query, 'base64url').toString())
}

function isOwn(id) {
  return id.startsWith(`${root}/`) && !id.includes('/node_modules/')
}

const imports = new Map()

function importsOf(context, file) {
  if (!imports.has(file)) imports.set(file, readImports(context, file))
  return imports.get(file)
}

async function readImports(context, file) {
  if (!/\.m?[jt]s$/.test(file)) return []
  const names = [...readFileSync(file, 'utf8').matchAll(IMPORTS)].map((found) => found[1] ?? found[2] ?? found[3])
  const resolved = await Promise.all(names.map((name) => context.resolve(name, file, { skipSelf: true })))
  return resolved.flatMap((found) => (found && !found.external && isOwn(found.id) ? [found.id] : []))
}

const reaches = new Map()

/** All files of this repository that a file leads to, itself among them. */
function reach(context, file) {
  if (!reaches.has(file)) reaches.set(file, findReach(context, file))
  return reaches.get(file)
}

async function findReach(context, file) {
  const reached = new Set([file])
  for (const one of reached) for (const next of await importsOf(context, one)) reached.add(next)
  return reached
}
