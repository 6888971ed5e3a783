/** The past of a store as its handle sees it: most of what works on it is loaded when it is first called (old.ts). */
import type { Key } from '../bytes/keys.js'
import { checkFields } from '../errors.js'
import { Part } from '../part.js'
import { parseCommit } from './commit.js'
import type { StoreHost } from './store-host.js'
import type { Found, When } from './find.js'
import type { VersionInfo, VersionsOptions } from './history.js'
import type { ForkOptions, RestoreOptions, TagInfo, TagOptions } from './old.js'
import type { Snapshot } from './snapshot.js'
import type { TableSpec } from './table-spec.js'

const old = new Part('old versions', () => import('./old.js'))
const RESTORE = new Set(['partitions', 'offsets', 'label', 'meta'])

export class Past {
  readonly #handle: StoreHost
  /** Settles with the newest restore on its way. */
  #restoring: Promise<unknown> | undefined

  constructor(handle: StoreHost) {
    this.#handle = handle
  }

  /** Settles when what is read now is no longer about to be put away by a restore; `undefined` when it is not. */
  get restoring(): Promise<unknown> | undefined {
    return this.#restoring
  }

  async snapshot<K extends Key, V>(spec: TableSpec): Promise<Snapshot<K, V>> {
    const handle = this.#handle
    handle.assertOpen()
    const { state } = handle
    const hold = handle.hold(state)
    try {
      return await old.use(({ Snapshot: Made }) => new Made<K, V>(handle, spec, state))
    } finally {
      hold.release()
    }
  }

  at<K extends Key, V>(spec: TableSpec, when: When): Promise<Snapshot<K, V>> {
    return old.use((part) => part.openVersion<K, V>(this.#handle, spec, when))
  }

  /** The state of a version that is kept. */
  find(when: When): Promise<Found> {
    return old.use((part) => part.findIn(this.#handle, when))
  }

  async *versions(options: VersionsOptions): AsyncGenerator<VersionInfo, void> {
    const { readVersions } = await old.load()
    yield* readVersions(this.#handle, options)
  }

  async restore(when: When, options: RestoreOptions): Promise<{ version: number; undo: number }> {
    checkFields('restore', options, RESTORE)
    const handle = this.#handle
    handle.assertWritable()
    const note = parseCommit({ label: options.label, meta: options.meta })
    handle.changes.assertNone('restore')
    const cleanUp: (() => unknown)[] = []
    // Its place is before what is committed from here on, however long it takes to find the version.
    const prepared = old.use((part) => part.prepareRestore(handle, when, options, cleanUp))
    // It is heard at its turn.
    prepared.catch(() => undefined)
    let undo = 0
    const restoring = handle.shard.writer.append(async (state, signal) => {
      const make = await prepared
      undo = state.carried.version
      return { ...(await make(state, signal)), label: note.label, meta: note.meta }
    })
    handle.changes.changed()
    const settled = Promise.allSettled([restoring]).then(() => {
      if (this.#restoring === settled) this.#restoring = undefined
    })
    this.#restoring = settled
    try {
      const { version } = await restoring
      return { version, undo }
    } finally {
      for (const act of cleanUp) await act()
    }
  }

  tag(name: string, options: TagOptions): Promise<TagInfo> {
    const { version } = this.#handle.state.carried
    return old.use((part) => part.tag(this.#handle, name, options, version))
  }

  untag(name: string): Promise<void> {
    return old.use((part) => part.untag(this.#handle, name))
  }

  tags(): Promise<TagInfo[]> {
    return old.use((part) => part.tags(this.#handle))
  }

  fork(name: string, options: ForkOptions): Promise<void> {
    const { version } = this.#handle.state.carried
    return old.use((part) => part.fork(this.#handle, name, options, version))
  }
}
