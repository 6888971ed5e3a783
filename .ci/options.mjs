/**
 * Writes docs/options.md from the sources: each option of each public function, with what its docstring says. With `--check` it only
 * tells whether the page is up to date. It starts at the entries of the package, so that no function can be left out.
 *
 * Of a docstring the text is the effect; `@default`, `@unit` and `@when` (when to change it) have columns of their own.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { parseSync } from 'rolldown/experimental'
import { libraryEntries, root } from './entries.mjs'

const PAGE = 'docs/options.md'

/** Parsed once: a source with its declarations and what it takes from others. */
const parsed = new Map()

function moduleOf(path) {
  let module = parsed.get(path)
  if (module) return module
  const text = readFileSync(join(root, path), 'utf8')
  const { program, comments, errors } = parseSync(path, text)
  if (errors.length > 0) throw new Error(`${path}: ${errors[0].message}`)
  module = { path, text, comments, declared: new Map(), taken: new Map(), exported: new Map(), wholes: [] }
  parsed.set(path, module)
  for (const node of program.body) read(module, node)
  return module
}

function read(module, node) {
  const from = node.source && resolve(module.path, node.source.value)
  if (node.type === 'ImportDeclaration' && from) {
    for (const { imported, local } of node.specifiers) {
      if (imported) module.taken.set(local.name, { from, name: imported.name })
    }
  } else if (node.type === 'ExportAllDeclaration' && from) {
    module.wholes.push(from)
  } else if (node.type === 'ExportNamedDeclaration') {
    for (const { local, exported } of node.specifiers ?? []) {
      module.exported.set(exported.name, from ? { from, name: local.name } : { name: local.name })
    }
    for (const name of declare(module, node.declaration, node)) module.exported.set(name, { name })
  } else {
    declare(module, node, node)
  }
}

/** Takes note of what a statement declares; overloads of a function count together. */
function declare(module, node, outer) {
  if (node?.type === 'VariableDeclaration') {
    return node.declarations.flatMap(({ id, init }) => declare(module, { ...init, id }, outer))
  }
  const name = node?.id?.name
  if (name === undefined) return []
  const docs = docsOf(module, outer)
  const before = module.declared.get(name)
  const isOverload = /Function/.test(node.type) && before !== undefined
  module.declared.set(name, {
    module,
    name,
    node,
    docs: docs ?? before?.docs,
    heads: [...(isOverload ? before.heads : []), node],
  })
  return [name]
}

function resolve(path, specifier) {
  if (!specifier.startsWith('.')) return undefined
  const base = posix.join(posix.dirname(path), specifier)
  return [base.replace(/\.js$/, '.ts'), base.replace(/\.js$/, '.tsx')].find((file) => existsSync(join(root, file)))
}

/** The declaration of a name in a module, wherever it comes from. */
function find(path, name) {
  const module = moduleOf(path)
  const taken = module.exported.get(name)?.from ? module.exported.get(name) : module.taken.get(name)
  if (taken?.from) return find(taken.from, taken.name)
  const own = module.declared.get(module.exported.get(name)?.name ?? name)
  if (own) return own
  for (const from of module.wholes) {
    const found = find(from, name)
    if (found) return found
  }
  return undefined
}

function exportsOf(path) {
  const module = moduleOf(path)
  return [...module.exported.keys(), ...module.wholes.flatMap(exportsOf)]
}

/** The docstring right before a node: its text, and its tags. */
function docsOf({ text, comments }, node) {
  const comment = comments.findLast(({ end }) => end <= node.start)
  if (!comment?.value.startsWith('*') || text.slice(comment.end, node.start).trim() !== '') return undefined
  const lines = comment.value
    .slice(1)
    .split('\n')
    .map((line) => line.replace(/^ *\* ?/, '').trim())
  const docs = { text: [] }
  let at = docs.text
  for (const line of lines) {
    const [, tag, rest] = /^@(\w+) ?(.*)$/.exec(line) ?? []
    if (tag) at = docs[tag] = [rest]
    else at.push(line)
  }
  return Object.fromEntries(Object.entries(docs).map(([tag, said]) => [tag, prose(said)]))
}

/** In one line; what is listed stays apart. */
function prose(lines) {
  return lines
    .join('\n')
    .trim()
    .replace(/(^|\n+)- /g, (_, before) => `${before && '<br>'}• `)
    .replace(/\s*\n+ */g, ' ')
}

/** The types of the parameters of a function or method. */
function parametersOf(node) {
  const { params = [] } = node.value ?? node
  return params.map((given) => (given.left ?? given).typeAnnotation?.typeAnnotation)
}

/**
 * The objects of options that a type stands for: declared ones, or a literal. `bound` has what the parameters of a class stand
 * for.
 */
function optionsIn(type, path, bound) {
  if (!type) return []
  if (type.type === 'TSTypeLiteral') return [{ type, path }]
  if (type.type === 'TSIntersectionType' || type.type === 'TSUnionType') {
    const all = type.types.flatMap((one) => optionsIn(one, path, bound))
    const named = all.filter(({ found }) => found)
    // Beside a named one a literal only narrows its types, as overloads do.
    return named.length > 0 ? named : all
  }
  if (type.type !== 'TSTypeReference') return []
  const { name } = type.typeName
  if (/^(Omit|Pick|Partial|Readonly|NoInfer)$/.test(name)) return optionsIn(type.typeArguments.params[0], path, bound)
  const meant = bound?.get(name)
  if (meant) return optionsIn(meant.type, meant.path, meant.bound)
  if (!/(Options|Place|Props)$/.test(name ?? '')) return []
  const found = find(path, name)
  return found ? [{ name, found }] : []
}

/** All options of an interface or literal, its own first. */
function membersOf(node, module, prefix = '') {
  if (node.type === 'TSTypeAliasDeclaration') return membersOf(node.typeAnnotation, module, prefix)
  if (node.type === 'TSIntersectionType' || node.type === 'TSUnionType') {
    return node.types.flatMap((type) => membersOf(type, module, prefix))
  }
  if (node.type === 'TSTypeReference') {
    const { name } = node.typeName
    if (name === 'Omit' || name === 'Pick') {
      const [of, names] = node.typeArguments.params
      const listed = new Set((names.types ?? [names]).map(({ literal }) => literal?.value))
      return membersOf(of, module, prefix).filter((option) => listed.has(option.name) === (name === 'Pick'))
    }
    const found = find(module.path, name)
    return found ? membersOf(found.node, found.module, prefix) : []
  }
  const inherited = (node.extends ?? []).flatMap(({ expression, typeArguments }) => {
    const reference = { type: 'TSTypeReference', typeName: expression, typeArguments }
    return membersOf(reference, module, prefix)
  })
  const body = node.body?.body ?? node.members ?? []
  const own = body.flatMap((member) => {
    if (member.type === 'TSIndexSignature') {
      return membersOf(member.typeAnnotation.typeAnnotation, module, `${prefix}<name>.`)
    }
    if (member.key === undefined) return []
    const name = prefix + member.key.name
    const type = member.typeAnnotation?.typeAnnotation
    const docs = docsOf(module, member) ?? {}
    const nested = (type?.types ?? [type]).filter((one) => one?.type === 'TSTypeLiteral')
    const inner = nested.flatMap((literal) => membersOf(literal, module, `${name}.`))
    const isNested = inner.length > 0
    const option = {
      name,
      type: type ? typeText(module, type, isNested) : 'function',
      isNumber: hasNumber(type),
      isRequired: !member.optional,
      docs,
      file: module.path,
      line: module.text.slice(0, member.start).split('\n').length,
    }
    return isNested ? [option, ...inner] : [option]
  })
  const names = new Set(own.map(({ name }) => name))
  return [...own, ...inherited.filter(({ name }) => !names.has(name))]
}

function typeText({ text }, type, isNested) {
  if (isNested) return 'object'
  return text
    .slice(type.start, type.end)
    .replace(/\/\*.*?\*\//gs, '')
    .replace(/\s+/g, ' ')
    .replace(/^\| /, '')
    .replace(/ \| undefined$/, '')
    .replace(/\breadonly /g, '')
    .replace(/^\((.*)\)$/, '$1')
    .replace(/^\(([^()]*\([^()]*\)[^()]*)\)$/, '$1')
}

/** Whether an option is a number or a few of them, which have a unit. */
function hasNumber(type) {
  if (type?.type === 'TSTypeOperator') return hasNumber(type.typeAnnotation)
  const several = { TSUnionType: 'types', TSTupleType: 'elementTypes' }[type?.type]
  return type?.type === 'TSNumberKeyword' || (several !== undefined && type[several].some(hasNumber))
}

/** The public methods of a class, with those that it has from others. */
function methodsOf({ node, module }, bound = new Map()) {
  const own = node.body.body.flatMap((member) => {
    const isPublic =
      /^(TSAbstract)?MethodDefinition$/.test(member.type) &&
      /^(method|constructor)$/.test(member.kind) &&
      member.key.type === 'Identifier' &&
      !member.accessibility &&
      !('internal' in (docsOf(module, member) ?? {}))
    return isPublic ? [{ name: member.key.name, node: member, module, bound }] : []
  })
  const parent = node.superClass && find(module.path, node.superClass.name)
  if (!parent) return own
  const names = parent.node.typeParameters?.params ?? []
  const given = node.superTypeArguments?.params ?? []
  const inner = names.flatMap(({ name }, i) =>
    given[i] ? [[name.name, { type: given[i], path: module.path, bound }]] : [],
  )
  return [...own, ...methodsOf(parent, new Map(inner))]
}

/** Each object of options, with the functions that take it. */
export function sections() {
  const found = new Map()
  const add = (specifier, call, path, heads, bound) => {
    for (const head of heads) {
      for (const type of parametersOf(head)) {
        for (const options of optionsIn(type, path, bound)) {
          const module = options.found?.module ?? moduleOf(path)
          const node = options.found?.node ?? options.type
          const key = `${module.path}:${node.start}`
          const section = found.get(key) ?? {
            specifier,
            title: options.name,
            calls: [],
            options: membersOf(node, module),
          }
          // A literal without docstrings is the form of an overload.
          if (options.found || section.options.some(({ docs }) => docs.text)) found.set(key, section)
          if (!section.calls.includes(call)) section.calls.push(call)
        }
      }
    }
  }
  for (const { specifier, source } of libraryEntries) {
    for (const name of exportsOf(source)) {
      const declaration = find(source, name)
      if (!declaration) throw new Error(`${source}: "${name}" is exported, and declared nowhere.`)
      const { module, node, heads } = declaration
      if (/Function/.test(node.type)) add(specifier, `${name}()`, module.path, heads)
      if (node.type !== 'ClassDeclaration') continue
      for (const method of methodsOf(declaration)) {
        const call = method.name === 'constructor' ? `new ${name}()` : `.${method.name}()`
        add(specifier, call, method.module.path, [method.node], method.bound)
      }
    }
  }
  return [...found.values()]
}

const cell = (text) => text.replaceAll('|', '\\|')

export function page() {
  const lines = [
    '# Options',
    '',
    'This page has every option of every public function. `npm run docs:options` writes it from the sources; a test says when it is not',
    'up to date. An option that is left out, or `undefined`, has its default. A name that a function does not know is refused with',
    '`INVALID_ARGUMENT`, so that no misspelt option passes unseen.',
    '',
    'Sizes are in bytes; `<<` is the shift of JavaScript: `1 << 20` is a mebibyte. Times are in milliseconds. **Required** stands where an',
    'option has no default.',
  ]
  let specifier
  for (const section of sections()) {
    if (section.specifier !== specifier) lines.push('', `## ${(specifier = section.specifier)}`)
    const calls = section.calls.map((call) => `\`${call}\``)
    const heading = section.calls.map((call) => call.replace(/^new |[.()]/g, '')).join(', ')
    lines.push(
      '',
      `### ${heading}`,
      '',
      `${section.title ? `\`${section.title}\`, taken` : 'Taken'} by ${listOf(calls)}.`,
      '',
    )
    lines.push(
      '| option | type | default | unit | what it does, and when to change it |',
      '| --- | --- | --- | --- | --- |',
    )
    for (const { name, type, isRequired, docs } of section.options) {
      const fallback = docs.default ?? (isRequired ? '**required**' : '')
      const effect = [docs.text, docs.when].filter(Boolean).join(docs.text?.includes('<br>') ? '<br>' : ' ')
      lines.push(`| \`${name}\` | \`${cell(type)}\` | ${cell(fallback)} | ${docs.unit ?? ''} | ${cell(effect)} |`)
    }
  }
  return `${lines.join('\n')}\n`
}

function listOf(words) {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
}

if (process.argv[1] === import.meta.filename) {
  const [now, is] = [page(), existsSync(join(root, PAGE)) ? readFileSync(join(root, PAGE), 'utf8') : '']
  if (process.argv.includes('--check')) {
    if (now !== is) console.error(`${PAGE} is not what the sources say: npm run docs:options`)
    process.exitCode = now === is ? 0 : 1
  } else if (now !== is) {
    writeFileSync(join(root, PAGE), now)
  }
}
