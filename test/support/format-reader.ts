/**
 * Reads stored bytes by docs/format.md alone, and nothing of src: a second reading of that page. It takes every byte, throws
 * where one is not as the page says, and notes all kinds, parts, types and forms that it meets.
 */
import { crc32, inflateRawSync } from 'node:zlib'
import { CODES, Fields, LARGEST, OBJECTS, checked, hashOf, hex, isIn, must, order, textOf } from './format-fields.js'
import type { Objects } from './packed.js'

/** A segment as a manifest lists it. */
interface Ref {
  readonly name: string
  readonly sizes: readonly number[]
  readonly hash: string
  readonly lower: Uint8Array
  readonly upper: Uint8Array
  readonly clip: readonly [number, number] | undefined
}

/** What a seal says, and of which log it is. */
interface Seal {
  readonly log: string
  readonly n: number
  readonly plan: string
  readonly parents: readonly string[]
  readonly children: readonly Child[]
  readonly fallback: string
}

interface Child {
  readonly id: string
  readonly first: number
  readonly last: number
}

/** How a log that came of others begins. */
interface Beginning extends Child {
  readonly n: number
  readonly parents: readonly { readonly id: string; readonly n: number }[]
}

export abstract class ObjectReader {
  /** All that was met. */
  readonly met = new Set<string>()
  protected readonly refs = new Map<string, Ref>()
  /** By the ids of their logs. */
  readonly #seals = new Map<string, Seal>()
  readonly #beginnings: Beginning[] = []

  protected note(...what: readonly (string | false | undefined)[]): void {
    for (const each of what) if (each) this.met.add(each)
  }

  /** Objects by their names, as docs/format.md names them. */
  objects(objects: Objects): void {
    const hashes = new Map([...objects].map(([name, bytes]) => [name, hashOf(bytes)]))
    for (const [name, bytes] of objects) {
      // The anchor of a log that came of others has such a name, too.
      if (/\/[0-9a-f]{32}\/anchor$/.test(name) && bytes[5] === OBJECTS.indexOf('lease') + 1) {
        this.#lease(bytes, name)
        continue
      }
      const [, store = '', shard, last] = /^([a-z0-9._-]{1,64})\/(0|group|[0-9a-f]{32})\/(.+)$/.exec(name) ?? []
      must(shard && last, `${name} is no name.`)
      const isChild = shard.length === 32
      must(
        !isChild || /^anchor$|^gone\//.test(last) || last.startsWith(`${shard}/`),
        `${name} is not under its own id.`,
      )
      this.note(isChild ? 'shard: of others' : shard === '0' ? 'shard: root' : 'shard: control store')
      const entry = /^([0-9a-f]{32})\/log\/(\d{16})$/.exec(last)
      if (entry) {
        const before = name.slice(0, -16) + String(Number(entry[2]) - 1).padStart(16, '0')
        this.#entry(bytes, `${store}/${shard}/${entry[1]}`, Number(entry[2]), hashes.get(before))
      } else if (last === 'anchor') this.#anchor(bytes, name)
      else if (/^[0-9a-f]{32}\/pins\/[0-9a-f]{32}$/.test(last)) this.pin(bytes, name)
      else if (/^(gone|push|[0-9a-f]{32}\/closed)\/[0-9a-f]{32}$/.test(last)) {
        must(bytes.length === 0, `${name} is not empty.`)
        must(shard === '0' || !last.startsWith('push'), `${name} is no name.`)
        this.note(`empty: ${/gone|push|closed/.exec(last)![0]}`)
      } else if (/^probe-[0-9a-f]{16}\//.test(last)) this.note('probe')
      else must(/^[0-9a-f]{32}\/seg\/[0-9a-f]{32}$/.test(last), `${name} is no name.`)
    }
    for (const [name, bytes] of objects) if (name.includes('/seg/')) this.segment(bytes, name)
    for (const beginning of this.#beginnings) this.#descent(beginning)
    this.refs.clear()
    this.#seals.clear()
    this.#beginnings.length = 0
  }

  /** Whether a log that came of others is one that the seals of its parents name, and begins behind them. */
  #descent({ id, n, first, last, parents }: Beginning): void {
    const seals = parents.map((parent) => this.#seals.get(parent.id))
    // Parents that are not in this set say nothing.
    const known = seals.flatMap((seal) => seal ?? [])
    must(
      known.every((seal) => parents.some((parent) => parent.id === seal.log && parent.n === seal.n)),
      `Log ${id} has parents that were sealed elsewhere.`,
    )
    must(n === 1 + Math.max(...parents.map((parent) => parent.n)), `Log ${id} begins at another number.`)
    for (const seal of known) {
      const named = seal.children.find((child) => child.id === id)
      must(named ? named.first === first && named.last === last : seal.fallback === id, `Log ${id} is not in the plan.`)
      // A plan that holds is carried by all of its parents, and its child by those that have any of its partitions.
      const ofPlan = known.filter(({ plan }) => plan === seal.plan)
      must(!named || ofPlan.length === known.length, `Log ${id} came of several plans.`)
      this.note(named ? (parents.length > 1 ? 'child: of several' : 'child: of one') : 'child: fallback')
    }
  }

  protected body(bytes: Uint8Array, kind: string, what: string, version = 1): Fields {
    const head = new Fields(bytes, what)
    must(textOf(head.raw(4)) === 'TDMK' && head.unsigned(1) === version, `${what} is of another format.`)
    must(OBJECTS[head.unsigned(1) - 1] === kind && head.unsigned(2) === 0, `${what} is no ${kind}.`)
    const length = head.unsigned(4)
    must(head.unsigned(4) === crc32(bytes.subarray(0, 12)), `${what} has a bad head.`)
    const body = head.raw(length)
    must(head.unsigned(4) === crc32(body), `${what} has a bad body.`)
    head.end()
    this.note(`object: ${kind}`)
    return new Fields(body, what)
  }

  #lease(bytes: Uint8Array, what: string): void {
    const f = this.body(bytes, 'lease', what)
    must(what.endsWith(`/${f.id()}/anchor`), `${what} is of another member.`)
    f.varint()
    f.raw(16)
    const leaseMs = f.varint()
    const flags = f.unsigned(1)
    f.end()
    must(leaseMs >= 1 && leaseMs < 2 ** 31 && flags < 2, `${what} is no lease.`)
    this.note(flags === 1 ? 'lease: of the dead' : 'lease: of the living')
  }

  #anchor(bytes: Uint8Array, what: string): void {
    if (what.includes('/probe-')) return
    const isSealed = bytes[4] === 2
    const f = this.body(bytes, 'anchor', what, isSealed ? 2 : 1)
    const id = f.id()
    const [trim, manifestAt, covers, time] = [f.varint(), f.varint(), f.varint(), f.varint()]
    if (isSealed) this.#sealedEnd(f, id, what)
    f.end()
    must(!/\/[0-9a-f]{32}\/anchor$/.test(what) || what.endsWith(`/${id}/anchor`), `${what} is of another log.`)
    const isTombstone = trim === LARGEST
    must(manifestAt > covers && (!isTombstone || (/^0+$/.test(id) && covers + time === 0)), `${what} is no anchor.`)
    this.note(isTombstone ? 'anchor: tombstone' : trim > 0 ? 'anchor: trimmed' : 'anchor: untrimmed')
  }

  /** What the anchor of a sealed log says behind the fields of every anchor. */
  #sealedEnd(f: Fields, id: string, what: string): void {
    const n = f.varint()
    const seal = this.#seal(f, id, n)
    const keeps = f.varint()
    const batches = this.#batches(f.sized(), `The collection of ${what}`)
    const living = f.many(() => this.#child(f))
    must(living.length === 0 || what.endsWith('/0/anchor'), `${what} lists logs, and is not that of the root.`)
    must(
      living.every(({ first }, i) => i === 0 || first > living[i - 1]!.last),
      `${what} lists logs out of order.`,
    )
    const known = this.#seals.get(id)
    must(known === undefined || JSON.stringify(known) === JSON.stringify(seal), `${what} has another seal.`)
    this.#seals.set(id, seal)
    this.note(
      'anchor: sealed',
      living.length > 0 && 'sealed: living logs',
      keeps > n ? 'sealed: nothing kept' : 'sealed: kept',
      batches.length === 0 && 'sealed: nothing condemned',
      batches.some((batch) => batch.ids.length > 0) && 'sealed: condemned segments',
      batches.some((batch) => batch.trim === n) && 'sealed: condemned entries',
    )
  }

  #seal(f: Fields, log: string, n: number): Seal {
    const plan = f.id()
    const parents = f.many(() => f.id())
    const children = f.many(() => this.#child(f))
    const fallback = f.id()
    f.varint()
    must(parents.includes(log), `The seal of ${log} is not of its own plan.`)
    must(
      children.every(({ first }, i) => i === 0 || first === children[i - 1]!.last + 1),
      `The seal of ${log} has a gap.`,
    )
    this.note(children.length > 1 && 'seal: split', parents.length > 1 && 'seal: merge')
    return { log, n, plan, parents, children, fallback }
  }

  #child(f: Fields): Child {
    const child = { id: f.id(), first: f.varint(), last: f.varint() }
    must(child.first <= child.last && child.last < 4096, 'A log has impossible partitions.')
    return child
  }

  #turn(f: Fields): void {
    f.varint()
    f.id()
    const flags = f.unsigned(1)
    must(flags < 4, `${f.what} has a turn to come.`)
    this.note(flags === 0 && 'turn: taken', flags % 2 === 1 && 'turn: released', flags >= 2 && 'turn: trial')
  }

  #spans(f: Fields, offsets: readonly string[]): void {
    const sources = f.many(() => {
      const name = f.text()
      const flags = f.unsigned(1)
      must(flags < 2 && !offsets.includes(name), `${f.what} has impossible spans.`)
      const spans = f.many(() => {
        const [first, last] = [f.varint(), f.varint()]
        const count = this.#positions(f)
        this.note(count === 0 && 'span: nowhere')
        return { first, last }
      })
      must(
        spans.every(({ first, last }, i) => first <= last && (i === 0 || first === spans[i - 1]!.last + 1)),
        `${f.what} has spans out of order.`,
      )
      this.note(flags === 1 ? 'spans: aligned' : 'spans: not aligned')
      return name
    })
    must(sources.length > 0, `${f.what} has no spans.`)
  }

  #entry(bytes: Uint8Array, log: string, n: number, parent: string | undefined): void {
    const what = `Entry ${n} of ${log}`
    const f = this.body(bytes, 'entry', what)
    must(f.varint() === n, `${what} has another number.`)
    const kind = CODES.entry[f.unsigned(1)]
    const mode = CODES.mode[f.unsigned(1)]
    must(kind && mode && `${log}`.endsWith(f.id()), `${what} is none.`)
    f.raw(16)
    f.varint()
    const bits = f.varint()
    must(bits < 1 << CODES.part.length, `${what} has parts to come.`)
    const has = (part: (typeof CODES.part)[number]): boolean => (bits & (1 << CODES.part.indexOf(part))) !== 0
    this.note(`entry: ${kind}`, `mode: ${mode}`, ...CODES.part.map((part) => has(part) && `part: ${part}`))
    let offsets: readonly string[] = []
    const isFirst = kind === 'reset' && has('shard') && !has('origin')
    if (has('parent')) {
      const hash = f.id()
      must(
        n === 1 || isFirst ? /^0+$/.test(hash) : parent === undefined || parent === hash,
        `${what} has another parent.`,
      )
      const [, version, , manifestAt, covers, trim] = f.numbers(6)
      must(
        !isFirst || String([version, manifestAt, covers, trim]) === String([n, n, n - 1, n - 1]),
        `${what} does not begin a log.`,
      )
      offsets = this.#offsets(f)
    } else this.note(`entry without parent: ${kind}`)
    if (has('label')) f.text()
    if (has('meta')) JSON.parse(f.text())
    if (has('delta')) this.#delta(f.sized(), `The delta of ${what}`)
    if (has('manifest')) this.#manifest(f.sized(), log, `The manifest of ${what}`)
    if (has('references')) {
      const g = new Fields(f.sized(), `The references of ${what}`)
      this.#runs(g, log)
      g.end()
    }
    if (has('origin')) {
      const path = f.text()
      f.varint()
      const partitions = f.many(() => f.varint())
      this.note(
        partitions.length > 0 ? 'origin: partitions' : 'origin: all',
        path === log ? 'origin: own' : 'origin: other',
      )
    }
    if (has('keeps')) f.numbers(2)
    if (has('collection')) this.#collection(f.sized(), `The collection of ${what}`)
    if (has('sync')) {
      f.id()
      f.varint()
      f.id()
      f.varint()
    }
    const id = log.slice(-32)
    if (has('seal')) {
      must(kind === 'fence', `${what} has a seal, and is no fence.`)
      const seal = this.#seal(f, id, n)
      const known = this.#seals.get(id)
      must(
        known === undefined || JSON.stringify(known) === JSON.stringify(seal),
        `${what} is not the seal of the anchor.`,
      )
      this.#seals.set(id, seal)
    }
    if (has('shard')) {
      const range = { first: f.varint(), last: f.varint() }
      const parents = f.many(() => ({ id: f.id(), n: f.varint() }))
      if (isFirst) this.#beginnings.push({ id, n, ...range, parents })
    }
    must(!has('parent') || has('shard') === (log.split('/')[1]!.length === 32), `${what} does not say its partitions.`)
    if (has('turn')) this.#turn(f)
    if (has('spans')) this.#spans(f, offsets)
    f.end()
  }

  /** Returns the names of the sources. */
  #offsets(f: Fields): string[] {
    return f.many(() => {
      const name = f.text()
      this.#positions(f)
      return name
    })
  }

  /** Returns how many there are. */
  #positions(f: Fields): number {
    const positions = f.many(() => {
      this.note(f.varint() === 0 ? 'offsets: one position' : 'offsets: partitions')
      this.note(`offset: ${this.#key(f.sized())}`)
    })
    return positions.length
  }

  #collection(bytes: Uint8Array, what: string): void {
    const { length } = this.#batches(bytes, what)
    this.note(length > 1 ? 'collection: several batches' : 'collection: one batch')
  }

  #batches(bytes: Uint8Array, what: string): { readonly trim: number; readonly ids: readonly string[] }[] {
    const f = new Fields(bytes, what)
    const batches = f.many(() => {
      f.varint()
      return { trim: f.varint(), ids: f.many(() => f.id()) }
    })
    f.end()
    return batches
  }

  #delta(bytes: Uint8Array, what: string): void {
    const head = new Fields(bytes, what)
    const length = head.varint()
    const rest = head.raw(head.left())
    const f = new Fields(length === 0 ? rest : inflateRawSync(rest), what)
    must(length === 0 || f.bytes.length === length, `${what} has another length.`)
    this.note(length === 0 ? 'delta: plain' : 'delta: deflated')
    const groups = f.many(() => {
      f.varint()
      const table = f.sized()
      const codec = f.text()
      this.note(tableOf(table))
      f.many(() => {
        const type = CODES.change[f.unsigned(1)]
        must(type, `${what} has a change to come.`)
        this.note(`change: ${type}`)
        const key = f.sized()
        if (type === 'range delete') f.sized()
        else this.#key(key)
        if (type === 'expiring put') f.varint()
        if (type.endsWith('put') && codec === 'index') this.#indexed(f.sized(), table, what)
        else if (type.endsWith('put')) this.#value(f.sized(), codec)
      })
    })
    f.end()
    if (groups.length > 1) this.note('delta: several groups')
  }

  #manifest(bytes: Uint8Array, log: string, what: string): void {
    const f = new Fields(bytes, what)
    f.varint()
    const partitions = f.varint()
    f.varint()
    const flags = f.unsigned(1)
    must(partitions >= 1 && partitions <= 4096 && flags < 4, `${what} is none.`)
    if (flags & 1) f.text()
    if (flags & 2) f.text()
    this.note(flags % 2 === 1 && 'manifest: job', flags >= 2 && 'manifest: parent')
    this.#runs(f, log)
    f.end()
  }

  #runs(f: Fields, log: string): void {
    const codecs = f.many(() => [f.sized(), f.text()])
    const logs = [log, ...f.many(() => f.text())]
    const runs = f.many(() => f.many(() => this.#ref(f, logs)))
    must(
      runs.every((run) => run.length > 0),
      `${f.what} has an empty run.`,
    )
    this.note(
      codecs.some(([, codec]) => codec !== 'json') && 'codec: own',
      runs.length === 0 ? 'runs: none' : runs.length === 1 ? 'runs: one' : 'runs: several',
      runs.some((run) => run.length > 1) && 'run: several segments',
      logs.length > 1 && 'segment: foreign',
    )
    for (const run of runs) {
      for (const [i, { lower }] of run.entries()) {
        must(i === 0 || order(run[i - 1]!.upper, lower) <= 0, `${f.what} has a run out of order.`)
      }
    }
  }

  #ref(f: Fields, logs: readonly string[]): Ref {
    const id = f.id()
    const log = logs[f.varint()]
    const flags = f.unsigned(1)
    must(log && flags < 2, `${f.what} lists a segment to come.`)
    const sizes = f.numbers(8)
    const [hash, lower, upper] = [f.id(), f.sized(), f.sized()]
    const clip = flags === 1 ? ([f.varint(), f.varint()] as const) : undefined
    if (clip) {
      this.note('segment: clipped')
      must(partitionOf(lower) >= clip[0] && partitionOf(upper) <= clip[1] + 1, `${f.what} has wrong bounds.`)
    }
    const ref = { name: `${log}/seg/${id}`, sizes, hash, lower, upper, clip }
    const known = this.refs.get(ref.name)
    must(
      known === undefined || (String(known.sizes) === String(sizes) && known.hash === hash),
      `${ref.name} has two descriptions.`,
    )
    // The bounds of a clipped one are not those of the object.
    if (!known || known.clip) this.refs.set(ref.name, ref)
    return ref
  }

  protected pin(bytes: Uint8Array, what: string): void {
    const f = this.body(bytes, 'pin', what)
    const kind = CODES.pin[f.unsigned(1)]
    must(kind, `${what} is of a kind to come.`)
    const name = f.text()
    const [, expires] = [f.varint(), f.varint(), f.varint(), f.varint()]
    f.id()
    const flags = f.unsigned(1)
    must(flags < 8, `${what} has flags to come.`)
    const label = flags & 1 ? f.text() : ''
    if (kind === 'tag' && name === '-') this.#thinned(label, what)
    if (kind === 'hold') {
      must(/^[a-z0-9._-]{1,64}\/(0|[0-9a-f]{32})\/[0-9a-f]{32}#\d{1,16}$/.test(name), `${what} holds for no entry.`)
      must(flags % 4 === 0 && expires === 0, `${what} is no hold.`)
    }
    const offsets = this.#offsets(f)
    if (flags & 4) this.#spans(f, offsets)
    this.#manifest(f.sized(), what.split('/', 3).join('/'), `The manifest of ${what}`)
    if (flags & 2) this.#delta(f.sized(), `The delta of ${what}`)
    f.end()
    this.note(`pin: ${kind}`, flags % 2 === 1 && 'pin: label', (flags & 2) > 0 && 'pin: delta')
    this.note(flags >= 4 && 'pin: spans', expires! > 0 ? 'pin: ends' : 'pin: stays')
  }

  #thinned(text: string, what: string): void {
    const { kind, label, meta, bytes, folded, ...others } = JSON.parse(text) as Record<string, unknown>
    must(kind === 'commit' || kind === 'reset', `${what} is of no version.`)
    must(typeof bytes === 'number' && typeof folded === 'boolean', `${what} does not say what its entry had.`)
    must(Object.keys(others).length === 0, `${what} says what is to come.`)
    if (meta !== undefined) JSON.parse(meta as string)
    this.note(`thinned: ${kind}`, label !== undefined && 'thinned: label', meta !== undefined && 'thinned: meta')
    this.note(folded ? 'thinned: folded' : 'thinned: not folded')
  }

  protected segment(bytes: Uint8Array, what: string): void {
    const f = this.body(bytes, 'segment', what)
    const ref = this.refs.get(what)
    // Where its index begins is known from a manifest only.
    if (!ref) return this.note('segment: not listed')
    const [length, indexLength, filterLength, rawBytes, records, tombstones, ranges, expires] = ref.sizes as number[]
    must(length === bytes.length && hashOf(bytes) === ref.hash, `${what} is not the one that is listed.`)
    const blocks = new Fields(f.raw(f.left() - indexLength! - filterLength!), what)
    const index = checked(f.raw(indexLength!), `The index of ${what}`)
    const filter = checked(f.raw(filterLength!), `The filter of ${what}`)
    f.end()
    const seen = { raw: 0, records: 0, tombstones: 0, expires: 0 }
    let last: Uint8Array | undefined
    let lower: Uint8Array | undefined
    const places = index.many(() => [index.sized(), index.varint(), index.varint()] as const)
    for (const [separator, stored, raw] of places) {
      const block = checked(blocks.raw(stored), `A block of ${what}`)
      const compression = CODES.block[block.unsigned(1)]
      must(compression, `${what} has a block to come.`)
      this.note(`block: ${compression}`)
      const payload = block.raw(block.left())
      const r = new Fields(compression === 'stored' ? payload : inflateRawSync(payload), what)
      must(r.bytes.length === raw, `${what} has a block of another length.`)
      for (let isFirst = true; r.left() > 0; isFirst = false) {
        const key = r.sized()
        const type = CODES.record[r.unsigned(1)]
        must(type && (last === undefined || order(last, key) < 0), `${what} has records out of order.`)
        if (isFirst) {
          must(order(separator, key) <= 0 && (last === undefined || order(last, separator) < 0), `${what}: separator.`)
          must(last !== undefined || separator.length === 0, `${what}: the first separator.`)
        }
        this.note(`record: ${type}`)
        this.#storedKey(key)
        if (type === 'tombstone') seen.tombstones++
        if (type === 'expiring put') {
          const time = r.varint()
          seen.expires = Math.min(seen.expires || time, time)
        }
        if (type !== 'tombstone') this.#value(r.sized(), undefined)
        must(isIn(filter, key), `The filter of ${what} lacks a key.`)
        last = key
        lower ??= key
        seen.records++
      }
      seen.raw += raw
    }
    blocks.end()
    const deleted = index.many(() => [index.sized(), index.sized()] as const)
    index.end()
    for (const [from, to] of deleted) {
      if (lower === undefined || order(from, lower) < 0) lower = from
      if (last === undefined || order(last, to) < 0) last = to
    }
    must(
      String([rawBytes, records, tombstones, ranges, expires]) ===
        String([seen.raw, seen.records, seen.tombstones, deleted.length, seen.expires]),
      `${what} has other numbers than are listed.`,
    )
    if (!ref.clip) this.#bounds(ref, lower!, last!)
    this.note(
      places.length === 0
        ? 'segment: no blocks'
        : places.length === 1
          ? 'segment: one block'
          : 'segment: several blocks',
      filter.bytes.length === 0 ? 'filter: none' : 'filter: bits',
      deleted.length > 0 && 'segment: range deletes',
    )
  }

  /** Bounds are cut to 64 bytes, the lower one down, the upper one up. */
  #bounds({ name, lower, upper }: Ref, first: Uint8Array, last: Uint8Array): void {
    must(hex(lower) === hex(first.subarray(0, 64)), `${name} has another lower bound.`)
    if (last.length <= 64) must(hex(upper) === hex(last), `${name} has another upper bound.`)
    else must(upper.length <= 64 && order(upper, last) > 0, `${name} has another upper bound.`)
    this.note(first.length > 64 && 'bound: lower cut', last.length > 64 && 'bound: upper cut')
  }

  #storedKey(bytes: Uint8Array): void {
    const f = new Fields(bytes, 'A stored key')
    must(f.unsigned(1) * 256 + f.unsigned(1) < 4096, 'A stored key has no partition.')
    this.note(tableOf(f.raw(f.unsigned(1))))
    this.#key(f.raw(f.left()))
  }

  /** Returns its kind. */
  #key(bytes: Uint8Array): string {
    const f = new Fields(bytes, 'A key')
    const kind = this.#element(f, f.unsigned(1), false)
    f.end()
    return kind
  }

  #element(f: Fields, tag: number, isNested: boolean): string {
    const within = isNested ? ' in an array' : ''
    const noted = (kind: string, more = ''): string => {
      this.note(`key: ${kind}${more}${within}`)
      return kind
    }
    const simple: Record<number, string> = { 0x04: 'null', 0x08: 'false', 0x09: 'true' }
    if (simple[tag]) return noted(simple[tag])
    switch (tag) {
      case 0x10:
      case 0x28: {
        const sign = f.bytes[f.at]! >= 0x80
        f.raw(8)
        return noted(tag === 0x10 ? 'number' : 'Date', sign ? '' : ' below 0')
      }
      case 0x20: {
        const head = f.unsigned(1)
        const flip = head < 0x80 ? 0xff : 0
        const short = (head ^ flip) - 0x80
        const long = short === 120 ? f.raw(4).reduce((sum, byte) => sum * 256 + (byte ^ flip), 0) : short
        must(short <= 120 && (short < 120 || long >= 120), 'A bigint is none.')
        f.raw(long)
        return noted('bigint', `${long >= 120 ? ', long' : ''}${flip ? ' below 0' : ''}`)
      }
      case 0x30:
      case 0x40: {
        const kind = tag === 0x30 ? 'string' : 'Uint8Array'
        if (!isNested) {
          const rest = f.raw(f.left())
          if (tag === 0x30) textOf(rest)
          return noted(kind)
        }
        for (;;) {
          if (f.unsigned(1) !== 0) continue
          if (f.bytes[f.at] !== 0xff) return noted(kind)
          f.raw(1)
          this.note('key: 00 in an array')
        }
      }
      case 0x50:
        for (;;) {
          const next = f.unsigned(1)
          if (next === 0) return noted('array')
          this.#element(f, next, true)
        }
    }
    throw new Error(`A key has the tag ${tag}.`)
  }

  /** The state of a table's indexes, the record of a row, or an index row, by the name of their table. */
  #indexed(bytes: Uint8Array, table: Uint8Array, what: string): void {
    const f = new Fields(bytes, what)
    if (textOf(table.subarray(1)) === 'indexes') {
      must(f.unsigned(1) === 1, `${what} has a state of indexes of another form.`)
      f.varint()
      f.many(() => {
        f.text()
        const flags = f.unsigned(1)
        this.note(`index: ${['plain', 'many', 'unique'][flags]}`)
      })
      if (f.unsigned(1) === 1) {
        this.#key(f.sized())
        this.note('indexes: being built')
      } else this.note('indexes: built')
    } else if (table[1] === 0) {
      f.unsigned(4)
      f.many(() => {
        f.text()
        f.many(() => this.#key(f.sized()))
      })
      this.note('index: record')
    } else {
      must(table[1] === 1 && bytes.length === 0, `${what} has an index row with a value.`)
      this.note('index: row')
    }
    f.end()
  }

  /** `codec` undefined: that of a record is in a manifest, and any value will do. */
  #value(bytes: Uint8Array, codec: string | undefined): void {
    const version = /^json\0v(\d+)$/.exec(codec ?? '')
    if (version) {
      const f = new Fields(bytes, 'A value')
      must(hex(f.raw(5)) === '0154444d4b' && f.varint() === Number(version[1]), 'A value is of another version.')
      this.note('value: of a later version')
      return this.#value(f.raw(bytes.length - f.at), 'json')
    }
    if (codec !== undefined && codec !== 'json') return this.note('value: of another codec')
    if (bytes[0] === 0) return this.note('value: bytes')
    let value: unknown
    try {
      value = JSON.parse(textOf(bytes))
    } catch (error) {
      if (codec === 'json') throw error
      return this.note('value: of another codec')
    }
    this.#json(value)
  }

  #json(value: unknown): void {
    if (typeof value !== 'object' || value === null) {
      this.note(`value: ${value === null ? 'null' : typeof value}`)
      return
    }
    const names = Object.keys(value)
    if (Array.isArray(value)) this.note('value: array')
    else if (names.length === 1 && names[0]!.startsWith('$')) {
      const tag = names[0]!
      const content = (value as Record<string, unknown>)[tag]
      this.note(`value: ${tag}`, (content === null || tag === '$number') && `value: ${tag} ${String(content)}`)
      // The fields of what is quoted are no tags, but may hold some.
      if (tag === '$object') return Object.values(content as object).forEach((field) => this.#json(field))
      must(/^\$(bytes|date|bigint|map|set|number|undefined)$/.test(tag), `A value has the tag ${tag}.`)
    } else this.note('value: object')
    for (const field of Object.values(value)) this.#json(field)
  }
}

const tableOf = (name: Uint8Array): string => {
  if (name[0] !== 0xff) return name.length === 0 ? 'table: default' : 'table: named'
  return `table: own ${['records', 'index rows'][name[1]!] ?? textOf(name.subarray(1))}`
}

const partitionOf = (bound: Uint8Array): number => bound[0]! * 256 + bound[1]!
