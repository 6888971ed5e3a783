/** A member of a group on files: counts events, and tells what it begins and what was acknowledged. It leaves when its input ends. */
import { joinGroup } from 'tidemark/group'
import { nodeFs } from 'tidemark/node-fs'

const [folder, partitions, events, leaseMs] = process.argv.slice(2).map((arg, i) => (i === 0 ? arg : Number(arg)))
const say = (...words) => process.stdout.write(`${words.join(' ')}\n`)
const tokens = new Map()

const source = {
  name: 'events',
  partitions,
  async *read(_, from = 0) {
    for (let offset = from; offset < events; offset++) {
      await new Promise((resolve) => setTimeout(resolve, 10))
      yield { offset, key: 'n', value: 1 }
    }
  },
}

const group = await joinGroup({
  storage: nodeFs(folder),
  name: 's',
  partitions,
  leaseMs,
  coolMs: 0,
  standbys: 1,
  logger: false,
})
say('joined', group.status().member)
group.on('rebalance', ({ assigned, lost }) => {
  say('owns', ...assigned.map(({ first }) => first))
  for (const { first } of lost) say('lost', first)
})
process.stdin.on('end', () => void group.leave()).resume()

await group.run(
  source,
  async ({ offset }, state, _, { token, shard, signal }) => {
    tokens.set(shard.id, token)
    signal.onabort ??= () => say('aborted', shard.first, token)
    say('begins', state.number, offset, token)
    state.put('n', ((await state.get('n')) ?? 0) + 1)
  },
  {
    everyMs: 30,
    onProgress: ({ shard, version }) => say('acknowledged', shard.first, shard.last, version, tokens.get(shard.id)),
  },
)
say('left')
