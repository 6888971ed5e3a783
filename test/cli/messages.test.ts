/** Errors in the words of the command line: flags and commands, never calls and options of the API. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { inFlags } from '../../src/cli/messages.js'
import { cli, storeWith } from '../support/cli.js'

const root = join(import.meta.dirname, '../..')

/** The command line stands on these folders; it opens no store in memory, in IndexedDB or in R2, and reads no stream. */
const FOLDERS = ['bytes', 'log', 'manifest', 'segment', 'engine', 'storage', 'store', 'tools', 'transfer'].map((name) =>
  join('src', name),
)
const ADAPTERS = ['node-fs', 's3', 's3-common'].map((name) => join('adapters', name))

/** A call, an option with its value, or a name of the API. */
const OF_THE_API =
  /\w\(\)|\b(?:force|create|mode|exclusive|shared): ?\S|`|\b[a-z]+[A-Z]\w*\b|\bhandle\b|^[a-z]\w*: |storage: |the cause\b/

/** Nobody at a command line can meet these, for the reason beside each. */
const UNREACHABLE: readonly (readonly [RegExp, string])[] = [
  [/writes nothing more until it is open again/, 'a command closes its store once, at its end, and reopens none'],
  [
    /^(?:storage|signal|onProgress|schema|codec|indexes|upgrade|version|update|live|batch|meta|job|freeze|on|watch|reverse|transaction|getMany|importZip|at|diff): /,
    'the command line gives what it has checked, or never calls it',
  ],
  [
    /create: true was asked for|without expectAtLeast|deleteRange needs|openStore\(\)|^A store is expected/,
    'options and calls that no command uses',
  ],
  [/^index: /, 'no command reads an index'],
  [/has no version that ends epoch/, 'no command tags an epoch'],
  [/^logger: |^subscribe: /, 'no command gives a logger, or subscribes'],
  [/is not in memory; use get\(\)|getSync/, 'no command calls getSync()'],
  [/transaction|^One inside another/, 'no command runs a transaction'],
  [/did not return a Uint8Array|stored bytes takes no values|opened for its/, 'codecs of programs'],
  [
    /^append needs|This handle on the log|needs the path of a directory|^nodeFs takes/,
    'faults of callers inside Tidemark',
  ],
  [/uncommitted changes; commit\(\)/, 'no command changes anything before such a call'],
  [
    /client must be an S3Client|bucket must be|prefix must be|fetch must be/,
    'src/cli/bucket.ts makes the client, and checks the rest',
  ],
  [/opened in exclusive mode by another writer/, 'translated, see below'],
  [/store\.offsets|offsets: source/, 'no command commits offsets'],
  [/reopen\(\)`?$/, 'a name, not a sentence'],
]

/** Texts of messages in the sources: what is in quotes, has a space and ends like a sentence. */
function messagesIn(folder: string): string[] {
  const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  )
  return files.flatMap((name) => {
    const code = readFileSync(join(root, folder, name), 'utf8').replace(/^\s*(?:\/?\*|\/\/).*$/gm, '')
    const quoted = [...code.matchAll(/'((?:[^'\\\n]|\\.)*)'|`((?:[^`\\]|\\[^])*)`/g)].map(([, a, b]) => (a ?? b)!)
    return quoted
      .map((text) => text.replace(/\\(.)/g, '$1').replace(/\$\{[^}]*\}/g, '9'))
      .filter((text) => / .*[.:!]$/s.test(text) && !text.includes('\n'))
  })
}

test('every message of the core that a command can end with is told in flags', () => {
  const messages = [...FOLDERS, ...ADAPTERS].flatMap(messagesIn)
  expect(messages.length).toBeGreaterThan(150)
  const left = messages.filter(
    (text) =>
      OF_THE_API.test(inFlags(text).replace(/`tidemark [a-z]+`/g, '')) &&
      !UNREACHABLE.some(([pattern]) => pattern.test(text)),
  )
  expect(left.map((text) => inFlags(text))).toEqual([])
})

test.each([
  [['get', '.', 'k', '--partition', '9'], /--partition: a whole number from 0 to 1 is expected, not 9/],
  [['restore', '.', '2', '--partition', '9'], /--partition: a whole number/],
  [['get', '.', 'k', '--at', 'none'], /no tag "none"; `tidemark backups` lists/],
  [['get', '.', 'k', '--store', 'NO!'], /--store: "NO!" is no store name/],
  [['tag', '.', 'again', '--at', '2'], /a tag "again" already; run `tidemark untag` first/],
  [['tag', '.', '5'], /has no letter/],
  [['versions', '.', '--gte', '9', '--lte', '-1'], /'--lte <version>' argument '-1' is invalid/],
  [['maintain', '.', '--dry-run', '--keep-versions', '0'], /--keep-versions: a whole number of at least 1/],
  [['maintain', '.', '--dry-run', '--grace', '0s'], /--grace: a whole number of at least 1/],
  [['push', '.', 'copy', '--keep', '0'], /--keep: a whole number/],
  [['restore', '.', '2', '--offsets', '5'], /--offsets: an object/],
  [['scan', '.', '--json-keys', '--prefix', '5'], /A prefix is a string/],
  [['fork', '.', 'orders'], /exists already/],
])('%j is told what to give instead', async (args, message) => {
  const folder = await storeWith(
    async (store) => {
      store.put('k', 1)
      await store.commit({ offsets: { clicks: 1 } })
      await store.tag('again')
    },
    { partitions: 2 },
  )
  const { code, err } = await cli(args, { cwd: folder })
  expect(code).toBe(1)
  expect(err).toMatch(message)
  expect(err.replace('INVALID_ARGUMENT: ', '')).not.toMatch(/\w\(\)|\.retain|retain\.|graceMs|ttlMs|force: true/)
})
