/**
 * A stream job: counts the lines of an NDJSON file by a key, and keeps the counts and its place in the file in one commit. Kill it at
 * any moment: the next run goes on behind its last commit, and no line counts twice.
 *
 *     node demo/stream-job.mjs clicks.ndjson page ./counts     counts by the field "page" of each line
 *
 * Append to the file and run it again: it reads the new lines alone.
 */
import { openStore } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { consume } from 'tidemark/stream'
import { ndjsonFile } from 'tidemark/stream/node'

const [file = 'clicks.ndjson', field = 'page', folder = './counts'] = process.argv.slice(2)

// The first Ctrl-C ends the run in good order, the second one at once.
const ending = new AbortController()
process.once('SIGINT', () => ending.abort())

// Counts by another field are another job: `job` keeps the two apart.
/** @type {import('tidemark').Store<string, number>} */
const store = await openStore({ storage: nodeFs(folder), name: 'counts', job: `count by ${field}` })
try {
  if (store.version > 0) console.log(`Goes on from version ${store.version}.`)
  const lines = ndjsonFile(file, { key: (line) => String(line[field]) })
  const { events } = await consume(
    store,
    lines,
    async (event, counts) => counts.put(event.key, ((await counts.get(event.key)) ?? 0) + 1),
    {
      // So many lines are read again after a crash, at most.
      everyEvents: 1_000,
      signal: ending.signal,
      onProgress: ({ events, version }) => console.log(`committed version ${version}: ${events} lines in this run`),
    },
  )
  console.log(`${events} lines counted in this run. The most frequent:`)
  const counts = await store.toArray()
  counts.sort(([, a], [, b]) => b - a)
  for (const [key, count] of counts.slice(0, 10)) console.log(`${key}\t${count}`)
} finally {
  await store.close()
}
