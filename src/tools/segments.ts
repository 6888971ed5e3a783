/** Checks the segments that manifests and pins name. Each is read once, and its place in its run is checked. */
import { equalBytes } from '../bytes/compare.js'
import { corrupt } from '../errors.js'
import { storeOfLog } from '../manifest/listed-names.js'
import type { Run, SegmentRef } from '../manifest/manifest.js'
import { manifestOfPin } from '../engine/history/pins.js'
import type { Storage } from '../storage/contract.js'
import { platformOf } from '../storage/platform.js'
import type { Findings, StillNeeded } from './findings.js'
import type { PinShelf } from './pin-check.js'
import { checkNeighbours, checkSegment, type Extent } from './segment-check.js'

interface Read {
  readonly ref: SegmentRef
  /** `undefined` when the segment is damaged. */
  readonly extent: Extent | undefined
}

export class Segments {
  readonly #storage: Storage
  readonly #findings: Findings
  readonly #pins: PinShelf
  /** The segments that were read, by name and by the partitions that count. */
  readonly #read = new Map<string, Map<string, Read>>()
  /** The segments that the pins of another log hold, by the path of that log. */
  readonly #held = new Map<string, Promise<ReadonlySet<string>>>()

  constructor(storage: Storage, findings: Findings, pins: PinShelf) {
    this.#storage = storage
    this.#findings = findings
    this.#pins = pins
  }

  get count(): number {
    return this.#read.size
  }

  has(name: string): boolean {
    return this.#read.has(name)
  }

  areSound(runs: readonly Run[]): boolean {
    return runs.flat().every((ref) => this.#read.get(ref.name)?.get(clipOf(ref))?.extent !== undefined)
  }

  /** Checks each segment of some runs of the log at `path`, unless it was read before, and how they lie beside each other. */
  async check(runs: readonly Run[], partitions: number, path: string, isNeeded: StillNeeded): Promise<void> {
    for (const run of runs) {
      let before: Extent | undefined
      for (const ref of run) {
        const extent = await this.#segment(ref, partitions, path, isNeeded)
        if (extent && before) await this.#findings.try(ref.name, () => checkNeighbours(before!, extent, ref.name))
        before = extent
      }
    }
  }

  async #segment(
    ref: SegmentRef,
    partitions: number,
    path: string,
    isNeeded: StillNeeded,
  ): Promise<Extent | undefined> {
    const findings = this.#findings
    let reads = this.#read.get(ref.name)
    const known = reads?.get(clipOf(ref))
    const [other] = reads?.values() ?? []
    if (other) await findings.try(ref.name, () => checkAgree(other.ref, known?.ref ?? other.ref, ref))
    if (known) return known.extent
    if (other && other.extent === undefined) return undefined
    let extent: Extent | undefined
    await findings.try(
      ref.name,
      async () => {
        const { bytes } = await this.#storage.blobs.get(ref.name, { signal: findings.signal })
        if (bytes && !reads) findings.count(bytes)
        if (ref.clip && ref.clip[1] >= partitions) throw corrupt(`Segment ${ref.name} is clipped to no partition.`)
        extent = await checkSegment(platformOf(this.#storage), bytes, ref, partitions)
        // Those of logs before it in its own store are asked for before they go (S7).
        if (storeOfLog(ref.log) !== storeOfLog(path)) await this.#checkHeld(ref, path)
      },
      isNeeded,
    )
    if (!reads) this.#read.set(ref.name, (reads = new Map()))
    reads.set(clipOf(ref), { ref, extent })
    await findings.pause()
    return extent
  }

  /** Checks that a pin of the other store holds the segment: that store would delete it otherwise. */
  async #checkHeld({ name, log }: SegmentRef, path: string): Promise<void> {
    let held = this.#held.get(log)
    if (held === undefined) {
      held = this.#pins.of(log).then((pins) => {
        const runs = pins.flatMap((pin) => manifestOfPin(pin, log).runs)
        return new Set(runs.flat().map((ref) => ref.name))
      })
      this.#held.set(log, held)
    }
    if ((await held).has(name)) return
    throw corrupt(`Segment ${name} is needed by ${path}, and no pin of ${log} holds it: it may be deleted at any time.`)
  }
}

function clipOf({ clip }: SegmentRef): string {
  return clip ? clip.join() : ''
}

/** Checks that two manifests say the same of a segment, but for the bounds, which depend on the clip. */
function checkAgree(any: SegmentRef, same: SegmentRef, ref: SegmentRef): void {
  const facts = ({ clip: _clip, lower: _lower, upper: _upper, ...rest }: SegmentRef): string =>
    JSON.stringify(rest, (_, value: unknown) => (value instanceof Uint8Array ? [...value] : value))
  const sameBounds =
    clipOf(same) !== clipOf(ref) || (equalBytes(same.lower, ref.lower) && equalBytes(same.upper, ref.upper))
  if (facts(any) !== facts(ref) || !sameBounds) {
    throw corrupt(`Two manifests say different things of segment ${ref.name}.`)
  }
}
