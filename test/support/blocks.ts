/** The code blocks of the documentation, and a folder in which they run as a reader would run them. */
import { execFile, execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export const root = join(import.meta.dirname, '../..')

export interface Block {
  readonly page: string
  /** Where it begins. */
  readonly line: number
  /** The word behind its fence; `indented` without one. */
  readonly language: string
  readonly code: string
}

/** All blocks of a page, fenced or indented, in their order. */
export function blocksOf(page: string): Block[] {
  const blocks: Block[] = []
  const lines = readFileSync(join(root, page), 'utf8').split('\n')
  for (let i = 0; i < lines.length; i++) {
    const fence = /^ *(`{3,}|~{3,})(\S*)/.exec(lines[i]!)
    if (fence) {
      const end = lines.findIndex((line, at) => at > i && line.trim() === fence[1])
      blocks.push({ page, line: i + 1, language: fence[2]!, code: `${lines.slice(i + 1, end).join('\n')}\n` })
      i = end
    } else if (/^(?: {4}|\t)/.test(lines[i]!) && (lines[i - 1] ?? '').trim() === '') {
      let end = i
      while (end < lines.length && (/^(?: {4}|\t)/.test(lines[end]!) || lines[end]!.trim() === '')) end++
      blocks.push({ page, line: i + 1, language: 'indented', code: lines.slice(i, end).join('\n') })
      i = end - 1
    }
  }
  return blocks
}

const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'))
export const pages = ['README.md', 'CHANGELOG.md', ...docs.map((name) => `docs/${name}`)]

/** The packages that a reader of the documentation installs. */
const PEERS = [
  'idb',
  '@aws-sdk/client-s3',
  'aws4fetch',
  'pg',
  '@types/pg',
  'react',
  'react-dom',
  '@types/react',
  '@types/react-dom',
  'abstract-level',
  'express',
  'express-session',
  'hono',
  'keyv',
  'unstorage',
  'vitest',
  'zustand',
  '@types/express',
  '@types/express-session',
  '@types/node',
]

/**
 * A folder as `npm install tidemark` would leave it, but that the package and its peers are those of this checkout, built. In
 * it, `npx tidemark` is the built command line, and `npm install` only looks whether there is what it is asked for.
 */
export function readersFolder(): { folder: string; path: string } {
  execFileSync(process.execPath, [join(root, '.ci/setup.mjs'), '--build'], { stdio: 'inherit' })
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-reader-'))
  const modules = join(folder, 'node_modules')
  for (const name of [...PEERS, 'tidemark']) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(name === 'tidemark' ? root : join(root, 'node_modules', name), join(modules, name))
  }
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  const program = (name: string, lines: string[]): void => {
    writeFileSync(join(bin, name), ['#!/bin/sh', ...lines, ''].join('\n'))
    chmodSync(join(bin, name), 0o755)
  }
  const cli = join(root, 'dist/cli.js')
  program('npx', ['[ "$1" = tidemark ] || exit 9', 'shift', `exec '${process.execPath}' '${cli}' "$@"`])
  program('npm', ['[ "$1" = install ] || exit 9', 'shift', `for name; do [ -e '${modules}'/"$name" ] || exit 9; done`])
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
  return { folder, path: `${bin}:${process.env.PATH}` }
}

/** Checks the types of the modules as a strict program has them, and makes JavaScript of them in `out`. */
export async function compile(folder: string, modules: Readonly<Record<string, string>>): Promise<string> {
  for (const [name, code] of Object.entries(modules)) writeFileSync(join(folder, name), code)
  const compilerOptions = {
    strict: true,
    allowJs: true,
    checkJs: true,
    skipLibCheck: true,
    target: 'es2022',
    module: 'nodenext',
    jsx: 'react-jsx',
    lib: ['es2023', 'dom', 'esnext.disposable'],
    types: ['node'],
    rootDir: '.',
    outDir: 'out',
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: Object.keys(modules) }))
  const { code, output } = await run(join(root, 'node_modules/.bin/tsc'), ['-p', '.'], folder)
  return code === 0 ? '' : output
}

export interface Ended {
  readonly code: number
  readonly output: string
}

/** Runs a program, and resolves with what it printed on both of its outputs, and how it ended. */
export function run(
  command: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { cwd, env: { ...process.env, ...env }, maxBuffer: 64 << 20 }
    execFile(command, args, options, (error, stdout, stderr) => {
      resolve({ code: error ? (typeof error.code === 'number' ? error.code : 1) : 0, output: stdout + stderr })
    })
  })
}
