/**
 * Puts errors of the core into the words of the command line. They name calls and options of the API, for which people at a
 * command line have commands and flags.
 */

/** Options with which an error begins, and the flags or arguments that take them. */
const FLAGS: Readonly<Record<string, string>> = {
  at: '--at',
  budgetMs: '--budget-ms',
  cuts: '--cuts',
  graceMs: '--grace',
  gte: '--gte',
  keep: '--keep',
  label: '--label',
  limit: '--limit',
  lte: '--lte',
  maxDeletes: '--max-deletes',
  minDeletes: '--min-deletes',
  name: '--store',
  offsets: '--offsets',
  partition: '--partition',
  partitions: '--partition',
  'retain.ageMs': '--keep-for',
  'retain.daily': '--keep-daily',
  'retain.hourly': '--keep-hourly',
  'retain.versions': '--keep-versions',
  shard: '--partition',
  shards: '--shards',
  ttlMs: '--ttl',
}

/** Phrases and their replacements, in this order: a longer phrase comes before one that it contains. */
const PHRASES: readonly (readonly [RegExp, string])[] = [
  [/^restore: source /g, 'Source '],
  [
    /: name one by shard, use mode "follower", or joinGroup\(\)\./g,
    ': name one by --partition, with a partition of it.',
  ],
  [/first: rescale\(\{.*\}, \{ shards: 1 \}\)\./g, 'first, by `tidemark rescale` with --shards 1.'],
  [
    /Bring them together with rescale\(\) to 1 shard first/g,
    'Bring them together by `tidemark rescale` with --shards 1 first',
  ],
  [
    /, and the shard of this handle has ended\. Its changes are kept; call reopen\(\) .*/g,
    ' meanwhile. Nothing was changed; run the command again.',
  ],
  [
    / this handle has the shard of ([^.]*)\. Open the store with shard: (\d+)\./g,
    ' the shard has $1. Name the other one by --partition $2.',
  ],
  // The handle of a command ends with it, and the next command opens the store anew.
  [/Call reopen\(\) and look\./g, 'Look with `tidemark versions` before you run the command again.'],
  [/Call reopen\(\) to take it back\./g, 'Run the command again to take it back.'],
  [/Call reopen\(\) when that writer is gone\./g, 'Run the command again when that writer is gone.'],
  [/call reopen\(\) to look again\./g, 'run the command again to look again.'],
  [/call destroyStore\(\) again to finish that\./g, 'run `tidemark destroy` again to finish that.'],
  [/destroyStore\(\) it again if/g, 'run `tidemark destroy` again if'],
  [/, as far as this handle has looked; refresh\(\) looks again/g, ''],
  [/Call refresh\(\), and read again\./g, 'Run the command again.'],
  [
    / Its changes are kept: read again, and commit\(\) or discard\(\) them\./g,
    ' Nothing was changed; run the command again.',
  ],
  [/ The changes are kept; try again\./g, ' Nothing was changed; run the command again.'],
  [/ After a put\(\), delete the key or discard\(\) to go on\./g, ''],
  [/; tags\(\) lists those that it has\./g, '; `tidemark backups` lists those that it has.'],
  [
    /versions\(\) and tags\(\) list what is\. Raise retain, or tag/g,
    '`tidemark versions` and `tidemark backups` list what is. Let its program keep more (retain), or tag',
  ],
  [
    /can be opened with at\(\) or put back with restore\(\)\./g,
    'can be read with --at or put back with `tidemark restore`.',
  ],
  [/verify\(\) lists/g, '`tidemark verify` lists'],
  [/choose another name, or untag\(\) it first\./g, 'choose another name, or run `tidemark untag` first.'],
  [/untag\(\) it first, or choose another name\./g, 'run `tidemark untag` first, or choose another name.'],
  [/use force: true\./g, 'add --force.'],
  [
    / in the shard of this handle, which has (.*?): open the store with shard: (\d+)\./g,
    ' in that shard, which has $1.',
  ],
  [/or open it with force: true when/g, 'or add --force when'],
  [/Use force: true to put/g, 'Add --force to put'],
  [/\. Open it in that mode, or with force: true when no such writer lives\./g, '. Add --force to end that.'],
  [/Export it again with exportZip\(\)\./g, 'Export it again with `tidemark export`.'],
  [/say in `offsets` from where it is to be read\./g, 'say with --offsets from where it is to be read.'],
  [/; open it with that codec first\./g, '; only a program that has this codec can write it.'],
  [/Give nodeFs the path of a folder, or of none\./g, 'Give the path of a folder.'],
  [/; convert it, or give the table a codec\./g, '.'],
  [/await commit\(\) and go on\./g, 'put less at once.'],
  [/and maxUncommittedBytes leaves/g, 'and there is room for'],
  [
    /^\S+ dropped \S+ uncommitted \S+ of store ("[^"]*"); commit\(\) .*/g,
    'What was to be written to store $1 is not written.',
  ],
  [/ See the cause\./g, ''],
]

/** A message of the core in the words of the command line. */
export function inFlags(message: string): string {
  const [, option, rest] = /^([\w.]+)(:[^]*)$/.exec(message) ?? []
  const flag = option !== undefined && Object.hasOwn(FLAGS, option) ? FLAGS[option]! : option
  const text = flag === undefined ? message : flag + rest!
  return PHRASES.reduce((said, [pattern, words]) => said.replace(pattern, words), text)
}
