/**
 * A life of a store on a storage that runs out of room at some call. What fails for want of room says QUOTA, leaves nothing
 * behind, takes nothing away, and goes on when there is room again.
 */
import { expect } from 'vitest'
import { isTidemarkError, openStore, type OpenOptions, type Storage, type Store } from 'tidemark'
import { destroyStore, verify } from 'tidemark/tools'
import { exportZip, importZip, push } from 'tidemark/transfer'
import { hastyClock } from './history.js'

const NAME = 'life'
const CLOCK = { clock: hastyClock }
const OPTIONS: Partial<OpenOptions> = {
  clock: hastyClock,
  checkpoint: { entries: 4, bytes: 3_000 },
  retain: { versions: 3 },
  graceMs: 1,
  segmentBytes: 600,
  blockBytes: 200,
}

/** Where a life takes place. */
export interface Ground {
  readonly storage: Storage
  /** The same, never without room. */
  readonly beneath: Storage
  /** From now on there is room. */
  free(): void
  /** The files or objects that lie about and are no object of a store. */
  litter(): Promise<readonly string[]>
}

interface World {
  readonly ground: Ground
  store: Store
  /** The acknowledged changes. */
  readonly expected: Map<string, unknown>
  commits: number
  versions: number[]
}

const open = (storage: Storage, name = NAME): Promise<Store> => openStore({ ...OPTIONS, storage, name })

async function commit(world: World, text: string, labels = {}): Promise<void> {
  const i = world.commits
  world.store.discard()
  world.store.put(`key ${i % 5}`, text)
  world.store.put('last', i)
  const { version } = await world.store.commit(labels)
  world.commits++
  world.versions.push(version)
  world.expected.set(`key ${i % 5}`, text).set('last', i)
}

/** Bytes that do not compress, the same for one number. */
export function noise(seed: number, length: number): string {
  let text = ''
  for (let x = seed + 1; text.length < length;) text += (x = (Math.imul(x, 1_103_515_245) + 12_345) >>> 0).toString(36)
  return text.slice(0, length)
}

type Step = readonly [what: string, act: (world: World) => Promise<unknown>]

const small = (count: number): Step[] =>
  Array.from({ length: count }, () => ['commit', (world) => commit(world, noise(world.commits, 300))] as const)

/** A thing that a step makes is there after it, and a step that is repeated makes it then. */
const STEPS: readonly Step[] = [
  ...small(5),
  ['large commit', (world) => commit(world, noise(world.commits, 5_000))],
  ['tag', ({ store }) => store.tag('kept')],
  ...small(2),
  ['checkpoint', ({ store }) => store.checkpoint()],
  [
    'restore',
    async (world) => {
      const at = world.versions.at(-2)!
      const old = await world.store.at(at)
      const state = new Map<string, unknown>()
      for await (const [key, value] of old.entries()) state.set(key as string, value)
      await old.close()
      world.versions.push((await world.store.restore(at)).version)
      world.expected.clear()
      for (const [key, value] of state) world.expected.set(key, value)
    },
  ],
  [
    'fork',
    async ({ store, ground }) => {
      const made = await store.fork('forked').catch((error: unknown) => error)
      // Its last call is the one that names it: what was there by then the next opener finishes.
      if (isTidemarkError(made) && made.code !== 'INVALID_ARGUMENT') throw made
      await (await openStore({ ...OPTIONS, storage: ground.beneath, name: 'forked', create: false })).close()
    },
  ],
  [
    'push',
    ({ ground }) => push({ storage: ground.storage, name: NAME }, { storage: ground.storage, name: 'copy' }, CLOCK),
  ],
  ['commit', (world) => commit(world, noise(world.commits, 4_000))],
  [
    'push again',
    ({ ground }) => push({ storage: ground.storage, name: NAME }, { storage: ground.storage, name: 'copy' }, CLOCK),
  ],
  [
    'import',
    async ({ ground }) => {
      const zip = exportZip({ storage: ground.beneath, name: NAME }, CLOCK)
      await importZip(zip, { storage: ground.storage, name: 'imported' }, { ...CLOCK, force: true })
    },
  ],
  ['maintain', ({ store }) => store.maintain()],
  ...small(4),
  ['maintain again', ({ store }) => store.maintain()],
  ['destroy', ({ ground }) => destroyStore({ storage: ground.storage, name: 'imported' })],
  ['close', ({ store }) => store.close()],
  ['open', async (world) => (world.store = await open(world.ground.storage))],
  ...small(1),
]
async function blobsIn({ beneath }: Ground): Promise<Set<string>> {
  const names = new Set<string>()
  for (let after: string | undefined; ;) {
    const { items, more } = await beneath.blobs.list('', { after })
    for (const { name } of items) names.add(name)
    if (!more) return names
    after = items.at(-1)?.name
  }
}

/** Every blob that was not there before is named. */
async function expectNothingLeft(ground: Ground, before: ReadonlySet<string>, what: string): Promise<void> {
  const { beneath } = ground
  // A store that got as far as its first entry is there for whoever opens it next: what it needs is held, and noted.
  const begun = new Set((await beneath.logs('')).paths.map((path) => path.split('/')[0]!))
  // A store that is half destroyed has only its notes left.
  const isHeld = (blob: string): boolean =>
    blob.includes('/gone/') ||
    (blob.includes('/pins/') ? begun.has('forked') : blob.includes('/push/') && begun.has(blob.split('/')[0]!))
  const left = [...(await blobsIn(ground))].filter((blob) => !before.has(blob) && !isHeld(blob))
  // As if only these were there.
  const { blobs } = beneath
  const list: typeof blobs.list = async (prefix, options) => {
    const page = await blobs.list(prefix, options)
    return { ...page, items: page.items.filter(({ name }) => left.includes(name)) }
  }
  for (const name of new Set(left.map((blob) => blob.split('/')[0]!))) {
    const named = begun.has(name) && (await verify({ storage: { ...beneath, blobs: { ...blobs, list } }, name }, CLOCK))
    expect(named && named.orphans.count, `${what} left some of ${left.join(', ')} behind`).toBe(0)
  }
}

async function expectIntact(store: Store, { expected }: World, what: string): Promise<void> {
  const found = new Map<string, unknown>()
  for await (const [key, value] of store.entries()) found.set(key as string, value)
  expect(found, `after ${what}`).toEqual(new Map([...expected].sort(([a], [b]) => (a < b ? -1 : 1))))
}

/**
 * Lives on the ground, and returns what failed; nothing may fail twice. With `closes` the program ends where there is no
 * room, and begins anew; without, it goes on with the same handle.
 */
export async function live(ground: Ground, closes: boolean): Promise<string | undefined> {
  let failed: string | undefined
  const world = { ground, expected: new Map(), commits: 0, versions: [] } as unknown as World
  const attempt = async (what: string, act: () => Promise<unknown>): Promise<void> => {
    const before = failed === undefined ? await blobsIn(ground) : undefined
    const litter = failed === undefined ? await ground.litter() : []
    try {
      await act()
    } catch (error) {
      if (!before) throw error
      failed = what
      expect(error, what).toMatchObject({ name: 'TidemarkError', code: 'QUOTA', retryable: false })
      const isOpen = what !== 'create' && what !== 'open'
      if (isOpen) {
        world.store.discard()
        await expectIntact(world.store, world, `${what} without room`)
      }
      if (closes || !isOpen) {
        if (isOpen) await world.store.close()
        await expectNothingLeft(ground, before, what)
        expect(await ground.litter(), `${what} left files behind`).toEqual(litter)
      }
      ground.free()
      if (closes && isOpen) world.store = await open(ground.storage)
      await act()
    }
  }
  await attempt('create', async () => (world.store = await open(ground.storage)))
  for (const [what, act] of STEPS) await attempt(what, () => act(world))
  await expectIntact(world.store, world, 'all')
  await world.store.close()
  for (const name of [NAME, 'forked', 'copy']) {
    expect((await verify({ storage: ground.beneath, name }, CLOCK)).damages, name).toEqual([])
  }
  return failed
}
